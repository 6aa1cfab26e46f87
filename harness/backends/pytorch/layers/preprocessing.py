"""Preprocessing layers in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from harness.spec.layers import preprocessing as spec
from harness.spec.layers.base import Shape


class Rescaling(nn.Module):
    """x * scale + offset, in the network's floating point type whatever the type of x.

    The constants are float32 values in float64 networks too, because Keras rounds them.
    """

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, scale: float | tuple[float, ...], offset: float | tuple[float, ...] = 0.0) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32), persistent=False)
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.scale.dtype) * self.scale + self.offset


def build_rescaling(layer: spec.Rescaling, *shapes: Shape) -> nn.Module:
    return Rescaling(layer.scale, layer.offset)


class Normalization(nn.Module):
    """(x - mean) / sqrt(variance) or its inverse, the constants rounded to float32 first, as Keras does."""

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, mean: Any, variance: Any, shape: tuple[int, ...], invert: bool = False) -> None:
        super().__init__()
        self.invert = invert
        for name, values in (("mean", mean), ("variance", variance)):
            tensor = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, tensor.reshape(shape), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # keras.config.epsilon() is 1e-7.
        deviation, x = self.variance.sqrt().clamp_min(1e-7), x.to(self.mean.dtype)
        return self.mean + x * deviation if self.invert else (x - self.mean) / deviation


class CategoryEncoding(nn.Module):
    """Numbers as vectors, in the network's floating point type. squeezes: a last axis of size 1 goes first."""

    tokens: torch.Tensor
    one: torch.Tensor

    def __init__(self, num_tokens: int, mode: str, squeezes: bool = False) -> None:
        super().__init__()
        self.mode = mode
        self.squeezes = squeezes
        self.register_buffer("tokens", torch.arange(num_tokens), persistent=False)
        self.register_buffer("one", torch.ones(()), persistent=False)

    def extra_repr(self) -> str:
        return f"{len(self.tokens)}, {self.mode}"

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        vectors = (ids.squeeze(-1) if self.squeezes else ids).unsqueeze(-1) == self.tokens
        if self.mode == "multi_hot":
            return vectors.any(-2).to(self.one.dtype)
        return vectors.sum(-2).to(self.one.dtype) if self.mode == "count" else vectors.to(self.one.dtype)


def build_normalization(layer: spec.Normalization, *shapes: Shape) -> nn.Module:
    return Normalization(layer.mean, layer.variance, layer.broadcast_shape(shapes[0]), layer.invert)


def build_category_encoding(layer: spec.CategoryEncoding, *shapes: Shape) -> nn.Module:
    squeezes = layer.output_mode == "one_hot" and shapes[0][-1] == 1 and len(shapes[0]) > 1
    return CategoryEncoding(layer.num_tokens, layer.output_mode, squeezes)


BUILDERS = {
    spec.Rescaling: build_rescaling,
    spec.Normalization: build_normalization,
    spec.CategoryEncoding: build_category_encoding,
}
