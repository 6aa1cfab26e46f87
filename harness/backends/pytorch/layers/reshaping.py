"""Reshaping layers in PyTorch. Tensors are in Keras's layout, so these are Keras's own index orders."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.layers.preprocessing_images import Resizing
from harness.spec.layers import reshaping as spec
from harness.spec.layers.base import Shape


class Reshape(nn.Module):
    """(batch, ...) to (batch, *target_shape)."""

    def __init__(self, target_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.target_shape = target_shape

    def extra_repr(self) -> str:
        return f"target_shape={self.target_shape}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0], *self.target_shape)


class Permute(nn.Module):
    """Reorders the axes; dims counts from 1, the batch stays first."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = (0, *dims)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.dims)


class RepeatVector(nn.Module):
    """(batch, features) to (batch, n, features)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unsqueeze(1).expand(-1, self.n, -1)


class Margin(nn.Module):
    """Zeros around (sign 1) or cuts from (sign -1) the dimensions between batch and channels: F.pad does both."""

    def __init__(self, margins: tuple[tuple[int, ...], ...], sign: int = 1) -> None:
        super().__init__()
        # F.pad counts from the last dimension, the channels, which stay as they are.
        self.pad = (0, 0, *(sign * number for pair in reversed(margins) for number in pair))

    def extra_repr(self) -> str:
        return f"{self.pad}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, self.pad)


class UpSampling1D(nn.Module):
    """Every step `size` times."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(self.size, 1)


class UpSampling(nn.Module):
    """F.interpolate by whole factors: "nearest" or "bilinear" (NHWC in and out, NCHW within; volumes alike)."""

    def __init__(self, size: tuple[int, ...], mode: str = "nearest") -> None:
        super().__init__()
        self.size = size
        self.mode = mode

    def extra_repr(self) -> str:
        return f"{self.size}, {self.mode}"

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        size = [length * factor for length, factor in zip(x_NHWC.shape[1:-1], self.size, strict=True)]
        corners = None if self.mode == "nearest" else False
        y_NCHW = F.interpolate(x_NHWC.movedim(-1, 1), size, mode=self.mode, align_corners=corners)
        return y_NCHW.movedim(1, -1)


# tensorflow/core/kernels/image/resize_bicubic_op.cc looks its coefficients up at this many phases.
PHASES = 1024


def cubic_kernel(distance: torch.Tensor) -> torch.Tensor:
    """Keys's cubic convolution kernel with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))


def bicubic_matrix(size: int, factor: int) -> torch.Tensor:
    """float64 [size * factor, size]: the weights that enlarge one axis, with half-pixel centers."""
    rows = torch.arange(size * factor)
    place = (rows.double() + 0.5) / factor - 0.5
    below = place.floor()
    fraction = ((place - below) * PHASES).round() / PHASES
    weights = torch.zeros(size * factor, size, dtype=torch.float64)
    for offset in (-1, 0, 1, 2):
        column = below.long() + offset
        # Places beyond the border are dropped, and the others scaled up.
        inside = (column >= 0) & (column < size)
        weights[rows[inside], column[inside]] += cubic_kernel((fraction - offset).abs())[inside]
    return weights / weights.sum(1, keepdim=True)


class BicubicUpSampling2D(nn.Module):
    """TensorFlow's bicubic kernel as a matrix per axis: F.interpolate has another kernel and other borders."""

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, size: tuple[int, ...], height: int, width: int) -> None:
        super().__init__()
        for name, length, factor in (("rows", height, size[0]), ("columns", width, size[1])):
            # Not part of the state: any dtype can be reached from float64.
            self.register_buffer(name, bicubic_matrix(length, factor), persistent=False)

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        rows, columns = self.rows.to(x_NHWC.dtype), self.columns.to(x_NHWC.dtype)
        return torch.einsum("ih,nhwc,jw->nijc", rows, x_NHWC, columns).contiguous()


def build_flatten(layer: spec.Flatten, *shapes: Shape) -> nn.Module:
    return nn.Flatten()


def build_reshape(layer: spec.Reshape, *shapes: Shape) -> nn.Module:
    return Reshape(layer.target_shape)


def build_permute(layer: spec.Permute, *shapes: Shape) -> nn.Module:
    return Permute(layer.dims)


def build_repeat_vector(layer: spec.RepeatVector, *shapes: Shape) -> nn.Module:
    return RepeatVector(layer.n)


def build_zero_padding1d(layer: spec.ZeroPadding1D, *shapes: Shape) -> nn.Module:
    return Margin((layer.padding,), 1)


def build_zero_padding2d(layer: spec.ZeroPadding2D, *shapes: Shape) -> nn.Module:
    return Margin(layer.padding, 1)


def build_zero_padding3d(layer: spec.ZeroPadding3D, *shapes: Shape) -> nn.Module:
    return Margin(layer.padding, 1)


def build_cropping1d(layer: spec.Cropping1D, *shapes: Shape) -> nn.Module:
    return Margin((layer.cropping,), -1)


def build_cropping2d(layer: spec.Cropping2D, *shapes: Shape) -> nn.Module:
    return Margin(layer.cropping, -1)


def build_cropping3d(layer: spec.Cropping3D, *shapes: Shape) -> nn.Module:
    return Margin(layer.cropping, -1)


def build_up_sampling1d(layer: spec.UpSampling1D, *shapes: Shape) -> nn.Module:
    return UpSampling1D(layer.size)


def build_up_sampling2d(layer: spec.UpSampling2D, *shapes: Shape) -> nn.Module:
    if layer.interpolation in ("nearest", "bilinear"):
        return UpSampling(layer.size, layer.interpolation)
    _, height, width, _ = shapes[0]
    assert height is not None, "the spec refused it"
    assert width is not None, "the spec refused it"
    if layer.interpolation == "bicubic":
        return BicubicUpSampling2D(layer.size, height, width)
    return Resizing(height * layer.size[0], width * layer.size[1], layer.interpolation, crop=False, pad=False,
                    fill_value=0.0, antialias=False, size=(height, width))


def build_up_sampling3d(layer: spec.UpSampling3D, *shapes: Shape) -> nn.Module:
    return UpSampling(layer.size, "nearest")


BUILDERS = {
    spec.Flatten: build_flatten,
    spec.Reshape: build_reshape,
    spec.Permute: build_permute,
    spec.RepeatVector: build_repeat_vector,
    spec.ZeroPadding1D: build_zero_padding1d,
    spec.ZeroPadding2D: build_zero_padding2d,
    spec.ZeroPadding3D: build_zero_padding3d,
    spec.Cropping1D: build_cropping1d,
    spec.Cropping2D: build_cropping2d,
    spec.Cropping3D: build_cropping3d,
    spec.UpSampling1D: build_up_sampling1d,
    spec.UpSampling2D: build_up_sampling2d,
    spec.UpSampling3D: build_up_sampling3d,
}
