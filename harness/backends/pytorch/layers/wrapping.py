"""TimeDistributed in PyTorch.

Shape letters: N batch, T steps; x_NT: with any dimensions behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.randomness import Keyed
from harness.backends.pytorch.weights import weight_maps
from harness.spec.layers import wrapping as spec
from harness.spec.layers.base import Shape


class TimeDistributed(Keyed):
    """A module on every step: all steps at once, as further examples, where no step leaves anything for the next;
    one after the other where it does, where the module reads the mask of its step, or where it draws random numbers
    (in training), at each step anew."""

    def __init__(self, module: nn.Module, reads_masks: bool, remembers: bool, draws: bool = False) -> None:
        super().__init__()
        self.layer = module
        self.reads_masks = reads_masks
        self.remembers = remembers
        self.draws_inside = draws
        self.keras_weights = {
            role: replace(item, tensors=tuple(f"layer.{path}" for path in item.tensors))
            for role, item in weight_maps(module).items()
        }

    def forward(self, x_NT: torch.Tensor, *, masks: Masks | None = None) -> torch.Tensor:
        mask_NT = None if masks is None else masks[0]
        draws = self.draws_inside and self.training
        if self.remembers or draws or (self.reads_masks and mask_NT is not None):
            keys = self.step_keys(x_NT.shape[1]) if draws else None
            steps = []
            for t in range(x_NT.shape[1]):
                if keys is not None:
                    self._set_key(keys[t])
                steps.append(self._step(x_NT[:, t], None if mask_NT is None else mask_NT[:, t]))
            return torch.stack(steps, 1)
        y = self._step(x_NT.flatten(0, 1), None)
        return y.unflatten(0, x_NT.shape[:2])

    def _step(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        result: torch.Tensor = self.layer(x, masks=(mask,)) if mask is not None and self.reads_masks else self.layer(x)
        return result

    def _set_key(self, key: torch.Tensor) -> None:
        for module in self.layer.modules():
            if isinstance(module, Keyed):
                module.key = key  # type: ignore[assignment]

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0]


def build_time_distributed(layer: spec.TimeDistributed, *shapes: Shape) -> nn.Module:
    from harness.backends.pytorch.layers import BUILDERS  # which holds this builder as well

    # A layer is frozen with what is around it.
    inner = type(layer.layer)(**{**dict(layer.layer), "trainable": layer.trainable and layer.layer.trainable})
    module = BUILDERS[type(inner)](inner, layer.step_shape(*shapes))
    return TimeDistributed(module, inner.mask_rule == "own", layer.remembers(*shapes), inner.stochastic)


BUILDERS = {spec.TimeDistributed: build_time_distributed}
