"""Recurrent layers in PyTorch: one reader per direction, with masks, states and dropout as in Keras.

Shape letters: B batch, T steps, I input features, H units.

`forward` returns (output, mask), or ((output, *further outputs), mask): the mask is that of the first output, or
a tuple with one for each of the first outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from harness.backends.pytorch.layers.dropout_masks import DropoutMasks, draw_masks
from harness.backends.pytorch.layers.merging import Masks
from harness.backends.pytorch.layers.sequence_readers import States, make_reader, reader_weights
from harness.backends.pytorch.randomness import Keyed
from harness.spec.layers import recurrent as spec
from harness.spec.layers.base import Shape

Value = torch.Tensor | tuple[torch.Tensor, ...]
InitialState = torch.Tensor | Sequence[torch.Tensor] | None


class Recurrent(Keyed):
    """SimpleRNN, LSTM or GRU."""

    def __init__(self, layer: spec.Recurrent, inputs: int) -> None:
        super().__init__()
        self.layer = layer
        self.reader = make_reader(layer, inputs, layer.zero_output_for_mask)
        self.keras_weights = reader_weights(self.reader, "reader")

    def extra_repr(self) -> str:
        return repr(self.layer)

    def forward(
        self, x_BTI: torch.Tensor, *, masks: Masks, initial_state: InitialState = None
    ) -> tuple[Value, torch.Tensor | None]:
        states, mask_BT = given_states(initial_state), used_mask(masks, initial_state)
        draws = self.training and self.layer.stochastic
        (dropout,) = draw_masks(self.key, [self.layer], x_BTI) if draws else [DropoutMasks()]
        output, last = self.reader.read(x_BTI, mask_BT, states, dropout)
        return ((output, *last) if self.layer.return_state else output), self.output_mask((x_BTI,), masks)

    def output_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0] if self.layer.return_sequences else None


class Bidirectional(Keyed):
    """Two readers, the second backwards over the same steps, and the merge of their outputs."""

    def __init__(self, layer: spec.Bidirectional, inputs: int) -> None:
        super().__init__()
        self.layer = layer.layer
        self.backwards = type(self.layer)(**{**dict(self.layer), "go_backwards": True})
        self.merge_mode = layer.merge_mode
        zero_output = self.layer.return_sequences
        self.forward_layer = make_reader(self.layer, inputs, zero_output)
        self.backward_layer = make_reader(self.backwards, inputs, zero_output)
        self.keras_weights = {
            **reader_weights(self.forward_layer, "forward_layer", "forward/"),
            **reader_weights(self.backward_layer, "backward_layer", "backward/"),
        }

    def extra_repr(self) -> str:
        return f"{self.layer!r}, merge_mode={self.merge_mode}"

    def forward(
        self, x_BTI: torch.Tensor, *, masks: Masks, initial_state: InitialState = None
    ) -> tuple[Value, torch.Tensor | Masks | None]:
        states, mask_BT = given_states(initial_state), used_mask(masks, initial_state)
        half = self.layer.states
        draws = self.training and self.layer.stochastic
        pair = draw_masks(self.key, [self.layer] * 2, x_BTI) if draws else [DropoutMasks()] * 2
        ahead, last = self.forward_layer.read(x_BTI, mask_BT, states and states[:half], pair[0])
        back, last_back = self.backward_layer.read(x_BTI, mask_BT, states and states[half:], pair[1])
        if self.layer.return_sequences:
            back = back.flip(1)
        outputs = self._merge(ahead, back)
        if self.layer.return_state:
            outputs = (*outputs, *last, *last_back)
        return (outputs if len(outputs) > 1 else outputs[0]), self.output_mask((x_BTI,), masks)

    def output_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | Masks | None:
        mask_BT = masks[0] if self.layer.return_sequences else None
        return (mask_BT, mask_BT) if self.merge_mode is None else mask_BT

    def _merge(self, ahead: torch.Tensor, back: torch.Tensor) -> tuple[torch.Tensor, ...]:
        match self.merge_mode:
            case "concat":
                return (torch.cat((ahead, back), -1),)
            case "sum":
                return (ahead + back,)
            case "ave":
                return ((ahead + back) / 2,)
            case "mul":
                return (ahead * back,)
        return ahead, back


def given_states(initial_state: InitialState) -> States | None:
    if initial_state is None:
        return None
    return (initial_state,) if isinstance(initial_state, torch.Tensor) else tuple(initial_state)


def used_mask(masks: Masks, initial_state: InitialState) -> torch.Tensor | None:
    """The mask that a call obeys. Keras looks for one only if a call has a single tensor (layer.py,
    "Populate mask argument(s)"): with an initial state, masked steps are read like all others."""
    return masks[0] if initial_state is None else None


def build_recurrent(layer: spec.Recurrent, *shapes: Shape) -> nn.Module:
    inputs = shapes[0][-1]
    assert inputs is not None  # the spec refused it otherwise
    return Recurrent(layer, inputs)


def build_bidirectional(layer: spec.Bidirectional, *shapes: Shape) -> nn.Module:
    inputs = shapes[0][-1]
    assert inputs is not None
    return Bidirectional(layer, inputs)


BUILDERS = {
    spec.SimpleRNN: build_recurrent,
    spec.LSTM: build_recurrent,
    spec.GRU: build_recurrent,
    spec.Bidirectional: build_bidirectional,
}
