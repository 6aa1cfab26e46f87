"""Batch normalization in PyTorch: torch's fused kernels, with Keras's definitions of the statistics
(keras/src/layers/normalization/batch_normalization.py).

Shape suffixes: N batch, C channels, X any further dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.activations import r32
from harness.backends.pytorch.masks import Masks
from harness.backends.pytorch.weights import same

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
        self, channels: int, axis: int, momentum: float = 0.99, epsilon: float = 0.001, scale: bool = True,
        center: bool = True, frozen: bool = False,
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

    def forward(self, x: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        if masks is not None and self.training and not self.frozen:
            return self._masked(x, masks[0])
        if self.axis == 1:
            return self._normalize(x)
        if self.axis == 2 and x.dim() == 3:
            # As images of width 1, whose channels are last in memory: torch has a fast path for these only.
            return self._normalize(x.unsqueeze(2).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).squeeze(2)
        return self._normalize(x.movedim(self.axis, 1)).movedim(1, self.axis)

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> torch.Tensor | None:
        return masks[0]

    def _normalize(self, x_NCX: torch.Tensor) -> torch.Tensor:
        if self.frozen or not self.training:
            return F.batch_norm(x_NCX, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        # torch would blend the unbiased variance into the running one: it gets a buffer of zeros for it, which comes
        # back holding 1 - momentum of that variance. torch.batch_norm rather than F.batch_norm, because Keras allows a
        # single value per channel.
        share = torch.zeros_like(self.running_var)
        y_NCX = torch.batch_norm(x_NCX, self.weight, self.bias, self.running_mean, share, True, 1.0 - self.momentum,
                                 self.eps, True)
        self.running_var.mul_(self.momentum)
        count = x_NCX.numel() // x_NCX.shape[1]
        if count > 1:
            self.running_var.add_(share, alpha=(count - 1) / count)
        return y_NCX

    def _scale_and_offset(
        self, mean: torch.Tensor, variance: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """What the values normalized by these statistics, (channels,) each, are multiplied by and what is added."""
        return self.weight, self.bias

    def _update(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), 1.0 - self.momentum)
            self.running_var.lerp_(variance.to(self.running_var.dtype), 1.0 - self.momentum)

    def _masked(self, x_NXC: torch.Tensor, mask_NX: torch.Tensor | None) -> torch.Tensor:
        assert mask_NX is not None
        # batch_normalization.py, _moments: the statistics of the places that are not masked, applied to all.
        wide = x_NXC.to(torch.promote_types(x_NXC.dtype, torch.float32))
        axes = [axis for axis in range(x_NXC.dim()) if axis != self.axis]
        keep = mask_NX.unsqueeze(-1).expand_as(wide)
        zero = torch.zeros((), dtype=wide.dtype, device=wide.device)
        count = keep.to(wide.dtype).sum(axes, keepdim=True) + KERAS_EPSILON
        mean = torch.where(keep, wide, zero).sum(axes, keepdim=True) / count
        variance = torch.where(keep, wide - mean, zero).square().sum(axes, keepdim=True) / count
        weight, bias = self._scale_and_offset(mean.detach().flatten(), variance.detach().flatten())
        self._update(mean.detach().flatten(), variance.detach().flatten())
        shape = mean.shape
        inverse = torch.rsqrt(variance + self.eps)
        if weight is not None:
            inverse = inverse * weight.reshape(shape)
        offset = -mean * inverse
        if bias is not None:
            offset = offset + bias.reshape(shape)
        return (wide * inverse + offset).to(x_NXC.dtype)


class BatchRenormalization(BatchNormalization):
    """renorm=True: in training the values, normalized by the batch's statistics, are brought near to what the moving
    ones (renorm_mean, renorm_std) would make of them. The running variance follows running_std.

    clipping: bounds of the correction, "rmin", "rmax" and "dmax", each of which may be missing.
    """

    keras_weights = {**BatchNormalization.keras_weights, "moving_stddev": same("running_std"),
                     "renorm_mean": same("renorm_mean"), "renorm_stddev": same("renorm_std")}
    running_std: torch.Tensor
    renorm_mean: torch.Tensor
    renorm_std: torch.Tensor

    def __init__(
        self, channels: int, axis: int, momentum: float = 0.99, epsilon: float = 0.001, scale: bool = True,
        center: bool = True, frozen: bool = False, renorm_momentum: float = 0.99,
        clipping: dict[str, float] | None = None,
    ) -> None:
        super().__init__(channels, axis, momentum, epsilon, scale, center, frozen)
        self.renorm_momentum = renorm_momentum
        self.clipping = clipping or {}
        self.register_buffer("running_std", torch.ones(channels))
        self.register_buffer("renorm_mean", torch.zeros(channels))
        self.register_buffer("renorm_std", torch.ones(channels))

    def _normalize(self, x_NCX: torch.Tensor) -> torch.Tensor:
        if self.frozen or not self.training:
            return super()._normalize(x_NCX)
        mean, variance = self.running_mean.new_zeros(2, len(self.running_mean)).unbind(0)
        y_NCX = torch.batch_norm(x_NCX, None, None, mean, variance, True, 1.0, self.eps, True)
        count = x_NCX.numel() // x_NCX.shape[1]
        biased = variance * ((count - 1) / count) if count > 1 else torch.zeros_like(variance)
        scale, offset = self._scale_and_offset(mean, biased)
        self._update(mean, biased)
        shape = (-1, *(1,) * (x_NCX.dim() - 2))
        return y_NCX * scale.reshape(shape).to(y_NCX.dtype) + offset.reshape(shape).to(y_NCX.dtype)

    def _scale_and_offset(self, mean: torch.Tensor, variance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            # Keras casts the epsilon of the bound, and so rounds it to float32.
            moving = self.renorm_std.clamp_min(r32(self.eps) ** 0.5)
            scale = (variance + self.eps).sqrt() / moving
            offset = (mean - self.renorm_mean) / moving
            scale = scale.clamp(self.clipping.get("rmin"), self.clipping.get("rmax")) \
                if {"rmin", "rmax"} & set(self.clipping) else scale
            if "dmax" in self.clipping:
                offset = offset.clamp(-self.clipping["dmax"], self.clipping["dmax"])
        if self.weight is not None:
            scale, offset = scale * self.weight, offset * self.weight
        return scale, offset if self.bias is None else offset + self.bias

    def _update(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        with torch.no_grad():
            std = (variance + self.eps).sqrt()
            self.renorm_mean.lerp_(mean.to(self.renorm_mean.dtype), 1.0 - self.renorm_momentum)
            self.renorm_std.lerp_(std.to(self.renorm_std.dtype), 1.0 - self.renorm_momentum)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), 1.0 - self.momentum)
            self.running_std.lerp_(std.to(self.running_std.dtype), 1.0 - self.momentum)
            self.running_var.copy_((self.running_std.square() - self.eps).clamp_min(0.0))
