"""Normalization in PyTorch: torch's fused kernels, with Keras's definitions of the statistics.

Shape suffixes: N batch, C channels, X any further dimensions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.weights import WeightMap, reshaped, same
from harness.spec.layers import normalization as spec
from harness.spec.layers.base import Shape, known

Masks = tuple[torch.Tensor | None, ...]
# keras.config.epsilon(), which masked batch normalization adds to its count.
KERAS_EPSILON = 1e-7


class BatchNormalization(nn.Module):
    """Parameters and buffers as in nn.BatchNorm2d; Keras's momentum, and a running variance that is biased.

    frozen: inference mode in training too (Keras's trainable=False).
    """

    keras_weights = {"gamma": same("weight"), "beta": same("bias"), "moving_mean": same("running_mean"),
                     "moving_variance": same("running_var")}
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(
        self, channels: int, axis: int, momentum: float, epsilon: float, scale: bool, center: bool, frozen: bool,
    ) -> None:
        super().__init__()
        self.axis = axis
        self.momentum = momentum
        self.eps = epsilon
        self.frozen = frozen
        self.weight = nn.Parameter(torch.ones(channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if center else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def extra_repr(self) -> str:
        return (f"{len(self.running_mean)}, axis={self.axis}, momentum={self.momentum}, eps={self.eps}, "
                f"frozen={self.frozen}")

    def forward(self, x: torch.Tensor, masks: Masks = (None,)) -> tuple[torch.Tensor, torch.Tensor | None]:
        (mask,) = masks
        if mask is not None and self.training and not self.frozen:
            return self._masked(x, mask), mask
        if self.axis == 1:
            y = self._normalize(x)
        elif self.axis == 2 and x.dim() == 3:
            # As images of width 1, whose channels are last in memory: torch has a fast path for these only.
            y = self._normalize(x.unsqueeze(2).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).squeeze(2)
        else:
            y = self._normalize(x.movedim(self.axis, 1)).movedim(1, self.axis)
        return y, mask

    def _normalize(self, x_NCX: torch.Tensor) -> torch.Tensor:
        if self.frozen or not self.training:
            return F.batch_norm(x_NCX, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        # With momentum 1 the scratch buffers come back holding the batch's own mean and (unbiased) variance. The
        # running buffers cannot be passed: torch would blend the unbiased variance into them. torch.batch_norm
        # rather than F.batch_norm, because Keras allows a single value per channel.
        mean, variance = self.running_mean.new_zeros(2, len(self.running_mean)).unbind(0)
        y_NCX = torch.batch_norm(x_NCX, self.weight, self.bias, mean, variance, True, 1.0, self.eps, True)
        count = x_NCX.numel() // x_NCX.shape[1]
        biased = variance * ((count - 1) / count) if count > 1 else torch.zeros_like(variance)
        self._update(mean, biased)
        return y_NCX

    def _update(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), 1.0 - self.momentum)
            self.running_var.lerp_(variance.to(self.running_var.dtype), 1.0 - self.momentum)

    def _masked(self, x_NXC: torch.Tensor, mask_NX: torch.Tensor) -> torch.Tensor:
        # batch_normalization.py, _moments: the statistics of the places that are not masked, applied to all.
        wide = x_NXC.to(torch.promote_types(x_NXC.dtype, torch.float32))
        axes = [axis for axis in range(x_NXC.dim()) if axis != self.axis]
        keep = mask_NX.unsqueeze(-1).expand_as(wide)
        zero = torch.zeros((), dtype=wide.dtype, device=wide.device)
        count = keep.to(wide.dtype).sum(axes, keepdim=True) + KERAS_EPSILON
        mean = torch.where(keep, wide, zero).sum(axes, keepdim=True) / count
        variance = torch.where(keep, wide - mean, zero).square().sum(axes, keepdim=True) / count
        self._update(mean.detach().flatten(), variance.detach().flatten())
        shape = mean.shape
        inverse = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            inverse = inverse * self.weight.reshape(shape)
        offset = -mean * inverse
        if self.bias is not None:
            offset = offset + self.bias.reshape(shape)
        return (wide * inverse + offset).to(x_NXC.dtype)


class _AlongAxes(nn.Module):
    """Base of what normalizes over some axes of each example: brings them to the end and back."""

    def __init__(self, axes: tuple[int, ...], shape: Shape) -> None:
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

    def trailing(self, tensor: str, keras_shape: tuple[int, ...]) -> WeightMap:
        """A weight whose shape follows the axes. Keras sorts them before it resolves negative ones, and reshapes
        the weight to its place: the elements' order is the same."""
        return reshaped(tensor, tuple(self.normalized_shape), keras_shape, *range(len(keras_shape)))


class LayerNormalization(_AlongAxes):
    """F.layer_norm over any axes."""

    def __init__(self, layer: spec.LayerNormalization, shape: Shape) -> None:
        super().__init__(spec.axes_of(layer, layer.axis, len(shape)), shape)
        self.eps = layer.epsilon
        self.rms_scaling = layer.rms_scaling
        roles = {weight.role: weight for weight in layer.weights(shape)}
        self.weight = nn.Parameter(torch.ones(self.normalized_shape)) if "gamma" in roles else None
        self.bias = nn.Parameter(torch.zeros(self.normalized_shape)) if "beta" in roles else None
        tensors = {"gamma": "weight", "beta": "bias"}
        self.keras_weights = {role: self.trailing(tensors[role], weight.shape) for role, weight in roles.items()}

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
        return x * torch.rsqrt(x.square().sum(self.axes, keepdim=True)).clamp_max(1e12)


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
    return BatchNormalization(channels, axis, layer.momentum, layer.epsilon, layer.scale, layer.center,
                              frozen=not layer.trainable)


def build_layer_normalization(layer: spec.LayerNormalization, *shapes: Shape) -> nn.Module:
    return LayerNormalization(layer, shapes[0])


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
