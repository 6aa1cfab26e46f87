"""Recurrent layers in PyTorch: one direction of reading, both directions, and a cell by itself.

Shape letters: B batch, T steps, I input features, H units; for images, I and H stand for several dimensions.

`forward` returns the output, or (output, *further outputs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from harness.backends.pytorch.layers.dropout_masks import DropoutMasks, Part, draw_masks
from harness.backends.pytorch.layers.recurrent_convolutional import ConvReader, conv_weights, make_conv_reader
from harness.backends.pytorch.layers.sequence_readers import States, make_reader, reader_weights
from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.randomness import Keyed
from harness.backends.pytorch.weights import WeightMap
from harness.spec.layers import bidirectional, cells, recurrent, recurrent_convolutional
from harness.spec.layers.base import Layer, Shape

Value = torch.Tensor | tuple[torch.Tensor, ...]


class Direction(nn.Module):
    """Cells one after the other that read the steps in one direction.

    readers: of each cell (sequence_readers.py, recurrent_convolutional.py). zero_output: a masked step's output is 0,
    not that of the step before. parts: the dropout masks of a call in training, two for each cell; () for none.
    """

    def __init__(
        self, readers: Sequence[nn.Module], return_sequences: bool, return_state: bool, go_backwards: bool = False,
        unroll: bool = False, zero_output: bool = False, parts: tuple[Part, ...] = (),
    ) -> None:
        super().__init__()
        self.readers = nn.ModuleList(readers)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.unroll = unroll
        self.zero_output = zero_output
        self.parts = parts

    def extra_repr(self) -> str:
        return (f"return_sequences={self.return_sequences}, return_state={self.return_state}, "
                f"go_backwards={self.go_backwards}")

    def count_states(self) -> int:
        total = 0
        for reader in self.readers:
            total += reader.count_states()  # type: ignore[operator]
        return total

    def read(
        self, x_BTI: torch.Tensor, mask_BT: torch.Tensor | None, states: States | None, dropout: list[DropoutMasks],
    ) -> tuple[torch.Tensor, States]:
        """(output, last states). A masked step leaves state and output as they were."""
        read_mask_BT = mask_BT
        if self.go_backwards:
            x_BTI = x_BTI.flip(1)
            read_mask_BT = None if mask_BT is None else mask_BT.flip(1)
        last: list[torch.Tensor] = []
        for index, reader in enumerate(self.readers):
            given = None
            if states is not None:
                given = states[len(last):len(last) + reader.count_states()]  # type: ignore[operator]
            every_step = self.return_sequences or index < len(self.readers) - 1
            drops = dropout[index] if dropout else DropoutMasks()
            x_BTI, after = reader.read(  # type: ignore[operator]
                x_BTI, read_mask_BT, given, drops, every_step, self.return_state)
            last.extend(after)
        y = x_BTI if self.return_sequences else x_BTI[:, -1]
        if self.zero_output and mask_BT is not None and read_mask_BT is not None:
            # backend/tensorflow/rnn.py: the unrolled loop does not reverse the mask of all outputs.
            valid = read_mask_BT[:, -1]
            if self.return_sequences:
                valid = mask_BT if self.unroll else read_mask_BT
            y = torch.where(valid.reshape(valid.shape + (1,) * (y.dim() - valid.dim())), y, torch.zeros_like(y))
        return y, tuple(last)


class Recurrent(Keyed):
    """RNN, SimpleRNN, LSTM, GRU or ConvLSTM."""

    def __init__(self, direction: Direction) -> None:
        super().__init__()
        self.direction = direction

    def forward(
        self, x_BTI: torch.Tensor, *, masks: Masks | None = None, initial_state: Any = None,
        mask: torch.Tensor | None = None,
    ) -> Value:
        direction = self.direction
        dropout = draw_masks(self, direction.parts, x_BTI) if self.training and direction.parts else []
        output, last = direction.read(
            x_BTI, used_mask(masks, initial_state, mask), given_states(initial_state), dropout)
        return (output, *last) if direction.return_state else output

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0] if self.direction.return_sequences else None


class Bidirectional(Keyed):
    """Two readings of the same steps, the second the other way round, and the merge of their outputs."""

    def __init__(self, forward_layer: Direction, backward_layer: Direction, merge_mode: str | None) -> None:
        super().__init__()
        self.forward_layer = forward_layer
        self.backward_layer = backward_layer
        self.merge_mode = merge_mode

    def extra_repr(self) -> str:
        return f"merge_mode={self.merge_mode!r}"

    def forward(
        self, x_BTI: torch.Tensor, *, masks: Masks | None = None, initial_state: Any = None,
        mask: torch.Tensor | None = None,
    ) -> Value:
        first, second = self.forward_layer, self.backward_layer
        states, mask_BT = given_states(initial_state), used_mask(masks, initial_state, mask)
        half, parts = first.count_states(), (*first.parts, *second.parts)
        dropout = draw_masks(self, parts, x_BTI) if self.training and parts else []
        ahead, last = first.read(x_BTI, mask_BT, states and states[:half], dropout[:len(first.readers)])
        back, last_back = second.read(x_BTI, mask_BT, states and states[half:], dropout[len(first.readers):])
        if first.return_sequences:
            back = back.flip(1)
        outputs = self._merge(ahead, back)
        if first.return_state:
            outputs = (*outputs, *last, *last_back)
        return outputs if len(outputs) > 1 else outputs[0]

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | Masks | None:
        mask_BT = masks[0] if self.forward_layer.return_sequences else None
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


class Cell(nn.Module):
    """One step of cells one after the other, called by themselves: (output, *states)."""

    def __init__(self, readers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.readers = nn.ModuleList(readers)

    def forward(self, x_BI: torch.Tensor, *, states: Any) -> tuple[torch.Tensor, ...]:
        before = given_states(states) or ()
        after: list[torch.Tensor] = []
        for reader in self.readers:
            count: int = reader.count_states()  # type: ignore[operator]
            new = reader.one_step(x_BI, before[len(after):len(after) + count])  # type: ignore[operator]
            after.extend(new)
            x_BI = new[0]
        return (x_BI, *after)


def given_states(states: Any) -> States | None:
    """The states of all cells in a row, from a tensor or from lists in lists."""
    if states is None or isinstance(states, torch.Tensor):
        return None if states is None else (states,)
    given: list[torch.Tensor] = []
    for item in states:
        given.extend(given_states(item) or ())
    return tuple(given)


def used_mask(masks: Masks | None, initial_state: Any, mask: torch.Tensor | None) -> torch.Tensor | None:
    """The mask that a call obeys. Keras looks for one only if a call has a single tensor (layer.py,
    "Populate mask argument(s)"): with an initial state, masked steps are read like all others."""
    if mask is not None:
        return mask.bool()
    return masks[0] if masks is not None and initial_state is None else None


def make_direction(layer: recurrent.Recurrent, step: Shape, zero_output: bool, draws: bool) -> Direction:
    """The reading of a spec layer; step: the shape of a step, batch first; draws: whether a call draws masks."""
    readers: list[nn.Module] = []
    if isinstance(layer, recurrent_convolutional.ConvLSTM):
        readers.append(make_conv_reader(layer, step))
    else:
        assert isinstance(layer, recurrent.CellReader)
        readers += make_readers(layer.stack, step)
    return Direction(readers, layer.return_sequences, layer.return_state, layer.go_backwards, layer.unroll, zero_output,
                     layer.dropout_parts(step) if draws else ())


def make_readers(stack: Sequence[cells.Gates], step: Shape) -> list[nn.Module]:
    """The readers of cells one after the other."""
    readers: list[nn.Module] = []
    features = step[-1]
    for cell in stack:
        assert features is not None  # the spec refused it otherwise
        readers.append(make_reader(cell, features))
        features = cell.units
    return readers


def maps_of(readers: Sequence[Any], path: str, prefix: str, numbered: bool) -> dict[str, WeightMap]:
    """The maps of all weights; path: leads to the readers from the module."""
    maps: dict[str, WeightMap] = {}
    for place, reader in enumerate(readers):
        of_reader = conv_weights if isinstance(reader, ConvReader) else reader_weights
        maps |= of_reader(reader, f"{path}.{place}", prefix + (f"{place}/" if numbered else ""))
    return maps


def build_recurrent(layer: recurrent.Recurrent, *shapes: Shape) -> nn.Module:
    step = (shapes[0][0], *shapes[0][2:])
    module = Recurrent(make_direction(layer, step, layer.zero_output_for_mask, layer.stochastic))
    maps = maps_of(list(module.direction.readers), "direction.readers", "", getattr(layer, "numbered", False))
    module.keras_weights = maps  # type: ignore[assignment]
    return module


def build_bidirectional(layer: bidirectional.Bidirectional, *shapes: Shape) -> nn.Module:
    step = (shapes[0][0], *shapes[0][2:])
    pair = [make_direction(inner, step, inner.return_sequences, layer.stochastic)
            for inner in (layer.layer, layer.second)]
    maps: dict[str, WeightMap] = {}
    for direction, inner, name in zip(pair, (layer.layer, layer.second), ("forward", "backward"), strict=True):
        maps |= maps_of(list(direction.readers), f"{name}_layer.readers", f"{name}/", getattr(inner, "numbered", False))
    module = Bidirectional(pair[0], pair[1], layer.merge_mode)
    module.keras_weights = maps  # type: ignore[assignment]
    return module


def build_cell(layer: cells.Step, *shapes: Shape) -> nn.Module:
    module = Cell(make_readers(layer.stack, shapes[0]))
    module.keras_weights = maps_of(list(module.readers), "readers", "", layer.numbered)  # type: ignore[assignment]
    return module


BUILDERS: Mapping[type[Layer], Any] = {
    **dict.fromkeys((*recurrent.LAYERS, *recurrent_convolutional.LAYERS), build_recurrent),
    **dict.fromkeys(cells.LAYERS, build_cell),
    bidirectional.Bidirectional: build_bidirectional,
}
