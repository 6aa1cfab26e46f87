"""TimeDistributed in PyTorch.

Shape letters: N batch, T steps; x_NT: with any dimensions behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from harness.backends.pytorch.layers.merging import Masks
from harness.backends.pytorch.weights import weight_maps
from harness.spec.layers import wrapping as spec
from harness.spec.layers.base import Shape


class TimeDistributed(nn.Module):
    """A module on every step: all steps at once, as further examples, where no step leaves anything for the next;
    one after the other where it does, or where the module reads the mask of its step."""

    def __init__(self, module: nn.Module, reads_masks: bool, remembers: bool) -> None:
        super().__init__()
        self.layer = module
        self.reads_masks = reads_masks
        self.remembers = remembers
        self.keras_weights = {
            role: replace(item, tensors=tuple(f"layer.{path}" for path in item.tensors))
            for role, item in weight_maps(module).items()
        }

    def forward(self, x_NT: torch.Tensor, *, masks: Masks) -> tuple[torch.Tensor, torch.Tensor | None]:
        (mask_NT,) = masks
        if self.remembers or (self.reads_masks and mask_NT is not None):
            steps = [self._step(x_NT[:, t], None if mask_NT is None else mask_NT[:, t]) for t in range(x_NT.shape[1])]
            return torch.stack(steps, 1), mask_NT
        y = self._step(x_NT.flatten(0, 1), None)
        return y.unflatten(0, x_NT.shape[:2]), mask_NT

    def _step(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        result: Any = self.layer(x, masks=(mask,))[0] if self.reads_masks else self.layer(x)
        output: torch.Tensor = result
        return output

    def output_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0]


def build_time_distributed(layer: spec.TimeDistributed, *shapes: Shape) -> nn.Module:
    from harness.backends.pytorch.layers import BUILDERS  # which holds this builder as well

    # A layer is frozen with what is around it.
    inner = type(layer.layer)(**{**dict(layer.layer), "trainable": layer.trainable and layer.layer.trainable})
    module = BUILDERS[type(inner)](inner, layer.step_shape(*shapes))
    return TimeDistributed(module, inner.mask_rule == "own", layer.remembers(*shapes))


BUILDERS = {spec.TimeDistributed: build_time_distributed}
