"""Which mask a call sees, and what becomes of it.

Keras has two kinds of masks, which part where a MultiHeadAttention takes the masks off the tensors it was
called on (multi_head_attention.py: call):

- *recorded*: when a functional model is built, a call with a single tensor keeps the mask it was given for ever
  (layer.py: `kwargs["mask"]` becomes part of the node). LSTM, GlobalAveragePooling1D and Softmax obey these.
- *live*: `_keras_mask` on the tensors while the model runs. Calls with several tensors (merges, attention, a
  recurrent layer with an initial state) and the loss obey these.

A module that reads masks takes them as `masks` (left out where no tensor has one), and tells the mask of its output
in `compute_mask(inputs, masks)`, which is also where a mask begins (Embedding, Masking).

So a residual connection around an attention loses the mask for the next attention, but not for the pooling at
the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from harness.spec.layers.core import Masking
from harness.spec.model import ModelSpec

Mask = torch.Tensor | None
# One for each tensor of a call; at least one of them is there.
Masks = tuple[Mask, ...]


def makes_masks(spec: ModelSpec) -> bool:
    """Whether a mask may begin in this model; a layer from outside the vocabulary might."""
    return any(
        layer.mask_rule == "own" and (
            getattr(layer, "mask_zero", False) or isinstance(layer, Masking)
            or not type(layer).__module__.startswith("harness."))
        for layer in spec.layers.values()
    )


class MaskBook:
    """The masks of every tensor of one pass, by the tensor's reference."""

    def __init__(self) -> None:
        self.recorded: dict[str, Mask] = {}
        self.live: dict[str, Mask] = {}

    def seen(self, inputs: Sequence[str], several: bool) -> Masks | None:
        """The masks that a call obeys, None if there are none; several: whether Keras calls the layer with more
        than one tensor."""
        masks = self.live if several else self.recorded
        found = tuple(masks.get(name) for name in inputs)
        return None if all(mask is None for mask in found) else found

    def hand_on(self, output: str, first: str) -> None:
        """The output carries the masks of the first input."""
        self.recorded[output], self.live[output] = self.recorded.get(first), self.live.get(first)

    def settle(
        self, module: nn.Module, output: str, inputs: Sequence[str], feeds: Sequence[torch.Tensor], several: bool,
    ) -> None:
        """After a call of a module that decides on its mask."""
        recorded = mask = self.told(module, feeds, self.seen(inputs, several) or (None,) * len(inputs))
        if several and any(self.recorded.get(name) is not self.live.get(name) for name in inputs):
            masks = tuple(self.recorded.get(name) for name in inputs)
            recorded = self.told(module, feeds, masks)
        self._write(self.live, output, mask)
        self._write(self.recorded, output, recorded)
        if getattr(module, "erases_masks", False):
            for name in inputs:
                self.live[name] = None

    def told(self, module: nn.Module, feeds: Sequence[torch.Tensor], masks: Masks) -> Any:
        """The module's word on the mask of its output: one, or a tuple with one for each of the first outputs."""
        return module.compute_mask(feeds, masks)  # type: ignore[operator]

    @staticmethod
    def _write(masks: dict[str, Mask], output: str, mask: Any) -> None:
        for index, item in enumerate(mask if isinstance(mask, tuple) else (mask,)):
            masks[output if index == 0 else f"{output}:{index}"] = item
