"""The layers of keras.applications in PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.randomness import Keyed
from harness.backends.pytorch.weights import same
from harness.spec.layers import applications as spec
from harness.spec.layers.base import Shape


class LayerScale(nn.Module):
    """x * gamma along the last axis."""

    keras_weights = {"gamma": same("gamma")}

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class StochasticDepth(Keyed):
    """Drops whole examples in training, each by itself."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def extra_repr(self) -> str:
        return f"rate={self.rate}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = self.kept(self.draw((x.shape[0],) + (1,) * (x.dim() - 1), x.device), self.rate)
        return torch.where(keep, x / (1.0 - self.rate), torch.zeros((), dtype=x.dtype, device=x.device))


class CustomScaleLayer(nn.Module):
    """x + scale * residual."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def extra_repr(self) -> str:
        return f"scale={self.scale}"

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return x + residual * self.scale


def build_layer_scale(layer: spec.LayerScale, *shapes: Shape) -> nn.Module:
    return LayerScale(layer.projection_dim)


def build_stochastic_depth(layer: spec.StochasticDepth, *shapes: Shape) -> nn.Module:
    return StochasticDepth(layer.drop_path_rate)


def build_custom_scale_layer(layer: spec.CustomScaleLayer, *shapes: Shape) -> nn.Module:
    return CustomScaleLayer(layer.scale)


BUILDERS = {
    spec.LayerScale: build_layer_scale,
    spec.StochasticDepth: build_stochastic_depth,
    spec.CustomScaleLayer: build_custom_scale_layer,
}
