"""Activation layers in PyTorch (semantics ledger, table 4)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import nn

from harness.backends.pytorch.activations import in_memory_of, r32, relu
from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.weights import same
from harness.spec.layers import activation as spec
from harness.spec.layers.base import Shape


class ReLU(nn.Module):
    """keras/src/activations/activations.py: relu with a ceiling, a slope and a threshold.

    inplace: writes over its input; inplace_training: also where a gradient is asked for.
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0,
        inplace: bool = False, inplace_training: bool = False,
    ) -> None:
        super().__init__()
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.inplace = inplace
        # The others' backward passes need their input.
        self.inplace_training = inplace_training and threshold == 0 and (
            max_value is None or (max_value == 6 and not negative_slope))

    def extra_repr(self) -> str:
        return f"max_value={self.max_value}, negative_slope={self.negative_slope}, threshold={self.threshold}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        compute = functools.partial(relu, max_value=self.max_value, negative_slope=self.negative_slope,
                                    threshold=self.threshold)
        inplace = self.inplace_training if torch.is_grad_enabled() else self.inplace
        return in_memory_of(x, functools.partial(compute, inplace=True), compute) if inplace else compute(x)


class PReLU(nn.Module):
    """relu(x) - alpha * relu(-x); alpha has the input's shape without the batch, 1 along shared axes."""

    keras_weights = {"alpha": same("alpha")}

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(shape))

    def extra_repr(self) -> str:
        return f"{tuple(self.alpha.shape)}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) - self.alpha * torch.relu(-x)


class Softmax(nn.Module):
    """Softmax along one axis, or jointly along several; masked places get 0."""

    def __init__(self, axis: int | tuple[int, ...]) -> None:
        super().__init__()
        self.axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis

    def extra_repr(self) -> str:
        return f"axis={self.axis}"

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, *, masks: Masks | None = None,
    ) -> torch.Tensor:
        if masks is not None and mask is None:
            mask = masks[0]
        if mask is None:
            return self._softmax(x)
        keep = mask if mask.dtype == torch.bool else mask > 0.5
        y = self._softmax(torch.where(keep, x, torch.full_like(x, -3e4 if x.dtype == torch.float16 else -1e9)))
        return torch.where(keep, y, torch.zeros_like(y))

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0]

    def _softmax(self, x: torch.Tensor) -> torch.Tensor:
        if isinstance(self.axis, int):
            return torch.softmax(x, self.axis)
        return torch.exp(x - torch.logsumexp(x, self.axis, keepdim=True))


def build_relu(layer: spec.ReLU, *shapes: Shape, **inplace: int) -> nn.Module:
    return ReLU(layer.max_value, layer.negative_slope, layer.threshold, **dict.fromkeys(inplace, True))


def build_leaky_relu(layer: spec.LeakyReLU, *shapes: Shape) -> nn.Module:
    return nn.LeakyReLU(r32(layer.negative_slope))


def build_elu(layer: spec.ELU, *shapes: Shape) -> nn.Module:
    return nn.ELU(layer.alpha)


def build_prelu(layer: spec.PReLU, *shapes: Shape) -> nn.Module:
    return PReLU(layer.weights(*shapes)[0].shape)


def build_softmax(layer: spec.Softmax, *shapes: Shape) -> nn.Module:
    return Softmax(layer.axis)


BUILDERS = {
    spec.ReLU: build_relu,
    spec.LeakyReLU: build_leaky_relu,
    spec.ELU: build_elu,
    spec.PReLU: build_prelu,
    spec.Softmax: build_softmax,
}
