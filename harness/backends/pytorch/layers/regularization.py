"""Dropout and noise in PyTorch: from the tape when a key is set, else from torch's own generator.

Masks are laid out in Keras's order (channels last), which is the order of the tensors here.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.randomness import Keyed
from harness.spec.layers import regularization as spec
from harness.spec.layers.base import Shape


def mask_shape(x: torch.Tensor, noise_shape: tuple[int | None, ...] | None) -> tuple[int, ...]:
    """The mask's shape; noise_shape as in Keras (None: the input's size)."""
    if noise_shape is None:
        return tuple(x.shape)
    return tuple(size if wanted is None else wanted for size, wanted in zip(x.shape, noise_shape, strict=True))


class Dropout(Keyed):
    """Inverted dropout; noise_shape None for elementwise."""

    def __init__(self, rate: float, noise_shape: tuple[int | None, ...] | None = None) -> None:
        super().__init__()
        self.rate = rate
        self.noise_shape = noise_shape

    def extra_repr(self) -> str:
        return f"rate={self.rate}, noise_shape={self.noise_shape}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0:
            return x
        if self.rate == 1:
            return torch.zeros_like(x)
        if self.noise_shape is None:
            return self.dropout(x, self.rate)
        keep = self.kept(self.draw(mask_shape(x, self.noise_shape), x.device), self.rate)
        return torch.where(keep, x * (1.0 / (1.0 - self.rate)), torch.zeros((), dtype=x.dtype, device=x.device))


class GaussianNoise(Keyed):
    """x + stddev * standard normal noise."""

    def __init__(self, stddev: float) -> None:
        super().__init__()
        self.stddev = stddev

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.stddev == 0:
            return x
        return x + self.stddev * self.noise(x)


class GaussianDropout(Keyed):
    """x * (1 + stddev * standard normal noise)."""

    def __init__(self, stddev: float) -> None:
        super().__init__()
        self.stddev = stddev

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.stddev == 0:
            return x
        return x * (1.0 + self.stddev * self.noise(x))


class AlphaDropout(Keyed):
    """Dropout to SELU's negative limit, then a * x + b."""

    def __init__(
        self, rate: float, noise_shape: tuple[int | None, ...] | None, limit: float, a: float, b: float,
    ) -> None:
        super().__init__()
        self.rate, self.noise_shape = rate, noise_shape
        self.limit, self.a, self.b = limit, a, b

    def extra_repr(self) -> str:
        return f"rate={self.rate}, noise_shape={self.noise_shape}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = self.kept(self.draw(mask_shape(x, self.noise_shape), x.device), self.rate)
        limit = torch.full((), self.limit, dtype=x.dtype, device=x.device)
        return self.a * torch.where(keep, x, limit) + self.b


def build_dropout(layer: spec.Dropout, *shapes: Shape) -> nn.Module:
    return Dropout(layer.rate, layer.noise_shape)


def build_spatial_dropout(layer: spec.SpatialDropout1D, *shapes: Shape) -> nn.Module:
    return Dropout(layer.rate, (None, *(1,) * (layer.rank - 2), None))


def build_gaussian_noise(layer: spec.GaussianNoise, *shapes: Shape) -> nn.Module:
    return GaussianNoise(layer.stddev)


def build_gaussian_dropout(layer: spec.GaussianDropout, *shapes: Shape) -> nn.Module:
    return GaussianDropout(layer.stddev)


def build_alpha_dropout(layer: spec.AlphaDropout, *shapes: Shape) -> nn.Module:
    return AlphaDropout(layer.rate, layer.noise_shape, *layer.affine())


def build_activity_regularization(layer: spec.ActivityRegularization, *shapes: Shape) -> nn.Module:
    return nn.Identity()


BUILDERS = {
    spec.ActivityRegularization: build_activity_regularization,
    spec.Dropout: build_dropout,
    spec.SpatialDropout1D: build_spatial_dropout,
    spec.SpatialDropout2D: build_spatial_dropout,
    spec.SpatialDropout3D: build_spatial_dropout,
    spec.GaussianNoise: build_gaussian_noise,
    spec.GaussianDropout: build_gaussian_dropout,
    spec.AlphaDropout: build_alpha_dropout,
}
