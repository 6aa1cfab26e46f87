"""SpectralNormalization in PyTorch. torch's own parametrization is another algorithm: it keeps the weight, and lets the
gradient pass through the division."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.weights import WeightMap, same, weight_maps
from harness.spec.layers import spectral as spec
from harness.spec.layers.base import Shape


def unit(x: torch.Tensor) -> torch.Tensor:
    """x / |x| over all elements (keras/src/ops/nn.py: _normalize, with keras.config.epsilon())."""
    return x * torch.rsqrt(x.square().sum()).clamp_max(1e7)


class BeforeActivation(nn.Module):
    """A layer without its activation, to be called as a module."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer.pre_activation(x)  # type: ignore[operator]
        return result


class SpectralNormalization(nn.Module):
    """Divides a parameter of `layer` by its largest singular value, in training, before it calls the layer.

    parameter: its attribute path in the layer. view, axes: parameter.reshape(view).permute(axes) is Keras's kernel,
    whose last axis stands against all others. masks: what the layer does with a mask ("drop", "pass", "own").
    """

    vector_u: torch.Tensor

    def __init__(
        self, layer: nn.Module, parameter: str, view: tuple[int, ...], axes: tuple[int, ...], power_iterations: int,
        masks: str,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.parameter = parameter
        self.view, self.axes = view, axes
        self.power_iterations = power_iterations
        self.masks = masks
        self.register_buffer("vector_u", torch.ones(1, view[axes[-1]]))

    def extra_repr(self) -> str:
        return f"parameter={self.parameter}, power_iterations={self.power_iterations}"

    def forward(self, x: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        options = {"masks": masks} if masks is not None and self.masks == "own" else {}
        result: torch.Tensor = functional_call(self.layer, {self.parameter: self._kernel()}, (x,), options)
        return result.to(x.dtype)

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        kernel = {f"layer.{self.parameter}": self._kernel()}
        result: torch.Tensor = functional_call(BeforeActivation(self.layer), kernel, (x,))
        return result.to(x.dtype)

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        if self.masks == "own":
            mask: torch.Tensor | None = self.layer.compute_mask(inputs, masks)  # type: ignore[operator]
            return mask
        return masks[0] if self.masks == "pass" else None

    def _kernel(self) -> torch.Tensor:
        """The parameter; in training a copy of what it has just become, so that a later call may change it again."""
        parameter = self.layer.get_parameter(self.parameter)
        if not self.training:
            return parameter
        with torch.no_grad():
            parameter.div_(self._largest_singular_value(parameter))
        return parameter.clone()

    def _largest_singular_value(self, parameter: torch.Tensor) -> torch.Tensor:
        """The estimate, which moves vector_u on; 1 for a kernel of zeros."""
        matrix = parameter.reshape(self.view).permute(self.axes).reshape(-1, self.vector_u.shape[1])
        u, v = self.vector_u, self.vector_u
        for _ in range(self.power_iterations):
            v = unit(u @ matrix.t())
            u = unit(v @ matrix)
        nothing = ~matrix.any()
        self.vector_u.copy_(torch.where(nothing, self.vector_u, u))
        return torch.where(nothing, torch.ones_like(matrix[0, 0]), (v @ matrix @ u.t()).squeeze())


def keras_view(item: WeightMap, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(view, axes) such that tensor.reshape(view).permute(axes) has Keras's layout; found by sending numbers through.

    shape: Keras's.
    """
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    (piece,) = item.to_torch(numbers)
    for axes in itertools.permutations(range(len(shape))):
        view = tuple(shape[axis] for axis in axes)
        back = tuple(axes.index(axis) for axis in range(len(shape)))
        if np.array_equal(piece.reshape(view).transpose(back), numbers):
            return view, back
    raise AssertionError(f"no transposition of {shape} gives the tensor of shape {piece.shape}")


def build_spectral_normalization(layer: spec.SpectralNormalization, *shapes: Shape) -> nn.Module:
    from harness.backends.pytorch.layers import BUILDERS  # which holds this builder as well

    inner, kernel = layer.inner, layer.kernel_of(*shapes)
    module = BUILDERS[type(inner)](inner, *shapes)
    maps: dict[str, Any] = dict(weight_maps(module))
    view, axes = keras_view(maps[kernel.role], kernel.shape)
    (parameter,) = maps[kernel.role].tensors
    normalized = SpectralNormalization(module, parameter, view, axes, layer.power_iterations, inner.mask_rule)
    normalized.keras_weights = {"vector_u": same("vector_u")} | {  # type: ignore[assignment]
        role: replace(item, tensors=tuple(f"layer.{path}" for path in item.tensors)) for role, item in maps.items()
    }
    return normalized


BUILDERS = {spec.SpectralNormalization: build_spectral_normalization}
