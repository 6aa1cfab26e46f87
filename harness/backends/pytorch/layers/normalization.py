"""Normalization in PyTorch: torch's fused kernels, with Keras's definitions of the statistics.

Shape suffixes: N batch, C channels, X any further dimensions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.layers.batch_normalization import BatchNormalization, BatchRenormalization
from harness.backends.pytorch.weights import reshaped, same
from harness.spec.layers import normalization as spec
from harness.spec.layers.base import Shape, known


class _AlongAxes(nn.Module):
    """Base of what normalizes over some axes of each example: brings them to the end and back."""

    def __init__(self, axes: tuple[int, ...], shape: tuple[int | None, ...]) -> None:
        super().__init__()
        rank = len(shape)
        self.axes = tuple(sorted(axes))
        self.normalized_shape = [size for axis in self.axes if (size := shape[axis]) is not None]
        order = (*(axis for axis in range(rank) if axis not in axes), *self.axes)
        self.order = None if order == tuple(range(rank)) else order
        self.back = tuple(order.index(axis) for axis in range(rank))

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, axes={self.axes}"

    def kernel(self, x: torch.Tensor) -> torch.Tensor:
        """The operation over the trailing axes."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.order is None:
            return self.kernel(x)
        return self.kernel(x.permute(self.order)).permute(self.back)


class LayerNormalization(_AlongAxes):
    """F.layer_norm over any axes."""

    def __init__(
        self, axes: tuple[int, ...], shape: tuple[int | None, ...], epsilon: float = 0.001, scale: bool = True,
        center: bool = True, rms_scaling: bool = False,
    ) -> None:
        super().__init__(axes, shape)
        self.eps = epsilon
        self.rms_scaling = rms_scaling
        self.weight = nn.Parameter(torch.ones(self.normalized_shape)) if scale else None
        self.bias = nn.Parameter(torch.zeros(self.normalized_shape)) if center else None

    def kernel(self, x: torch.Tensor) -> torch.Tensor:
        if not self.rms_scaling:
            return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        axes = tuple(range(-len(self.axes), 0))
        scaled = x * torch.rsqrt(x.var(axes, correction=0, keepdim=True) + self.eps)
        return scaled if self.weight is None else scaled * self.weight


class RMSNormalization(nn.RMSNorm):
    """nn.RMSNorm; the spec sees to it that the axes are the last."""

    keras_weights = {"scale": same("weight")}


class UnitNormalization(nn.Module):
    """x / |x| along the axes."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Not the root of 0, clamped: its gradient is not a number.
        return x * torch.rsqrt(x.square().sum(self.axes, keepdim=True).clamp_min(1e-24))


class GroupNormalization(nn.Module):
    """torch.group_norm along any axis. (F.group_norm refuses a batch with a single value per group.)"""

    keras_weights = {"gamma": same("weight"), "beta": same("bias")}

    def __init__(self, groups: int, channels: int, axis: int, epsilon: float, scale: bool, center: bool) -> None:
        super().__init__()
        self.groups = groups
        self.axis = axis
        self.eps = epsilon
        self.weight = nn.Parameter(torch.ones(channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if center else None

    def extra_repr(self) -> str:
        return f"groups={self.groups}, axis={self.axis}, eps={self.eps}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x_NCX = x.movedim(self.axis, 1)
        if not x.requires_grad:
            # torch 2.13 crashes in the backward pass of channels that are last in memory, if it needs no gradient by x.
            x_NCX = x_NCX.contiguous()
        if self.weight is None and self.bias is not None:
            # torch 2.13 fails in the backward pass of a bias without a weight ("tensor does not have a device").
            y_NCX = torch.group_norm(x_NCX, self.groups, eps=self.eps)
            y_NCX = y_NCX + self.bias.reshape(-1, *(1,) * (x_NCX.dim() - 2))
        else:
            y_NCX = torch.group_norm(x_NCX, self.groups, self.weight, self.bias, self.eps)
        return y_NCX.movedim(1, self.axis)


def build_batch_normalization(layer: spec.BatchNormalization, *shapes: Shape) -> nn.Module:
    (axis,) = spec.axes_of(layer, layer.axis, len(shapes[0]))
    channels = known(shapes[0][axis], layer, "the channels")
    arguments = (channels, axis, layer.momentum, layer.epsilon, layer.scale, layer.center, not layer.trainable)
    if layer.renorm:
        return BatchRenormalization(*arguments, layer.renorm_momentum, dict(layer.renorm_clipping or {}))
    return BatchNormalization(*arguments)


def build_layer_normalization(layer: spec.LayerNormalization, *shapes: Shape) -> nn.Module:
    weights = {weight.role: weight.shape for weight in layer.weights(*shapes)}
    module = LayerNormalization(spec.axes_of(layer, layer.axis, len(shapes[0])), shapes[0], layer.epsilon,
                                "gamma" in weights, "beta" in weights, layer.rms_scaling)
    # The shape of Keras's weights follows the axes as they are given, sorted before negative ones are resolved; it
    # reshapes them to their places, so that the elements' order is the same.
    module.keras_weights = {  # type: ignore[assignment]
        role: reshaped({"gamma": "weight", "beta": "bias"}[role], tuple(module.normalized_shape), shape,
                       *range(len(shape)))
        for role, shape in weights.items()
    }
    return module


def build_rms_normalization(layer: spec.RMSNormalization, *shapes: Shape) -> nn.Module:
    return RMSNormalization(list(layer.weights(shapes[0])[0].shape), layer.epsilon)


def build_unit_normalization(layer: spec.UnitNormalization, *shapes: Shape) -> nn.Module:
    return UnitNormalization(spec.axes_of(layer, layer.axis, len(shapes[0])))


def build_group_normalization(layer: spec.GroupNormalization, *shapes: Shape) -> nn.Module:
    (axis,) = spec.axes_of(layer, layer.axis, len(shapes[0]))
    (channels,) = layer.weights_shape(*shapes)
    groups = channels if layer.groups == -1 else layer.groups
    return GroupNormalization(groups, channels, axis, layer.epsilon, layer.scale, layer.center)


BUILDERS = {
    spec.BatchNormalization: build_batch_normalization,
    spec.LayerNormalization: build_layer_normalization,
    spec.RMSNormalization: build_rms_normalization,
    spec.UnitNormalization: build_unit_normalization,
    spec.GroupNormalization: build_group_normalization,
}
