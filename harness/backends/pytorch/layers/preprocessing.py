"""Preprocessing layers in PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from harness.spec.layers import preprocessing as spec
from harness.spec.layers.base import Shape


class Rescaling(nn.Module):
    """x * scale + offset, in the network's floating point type whatever the type of x.

    The constants are float32 values in float64 networks too, because Keras rounds them (semantics ledger, rule 0.2).
    """

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, scale: float | tuple[float, ...], offset: float | tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32), persistent=False)
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.scale.dtype) * self.scale + self.offset


def build_rescaling(layer: spec.Rescaling, *shapes: Shape) -> nn.Module:
    return Rescaling(layer.scale, layer.offset)


BUILDERS = {spec.Rescaling: build_rescaling}
