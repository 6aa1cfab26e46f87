"""Pooling in PyTorch. Tensors come and go as NHWC (steps: NTC).

Shape suffixes: N batch, T steps, H height, W width, C channels.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.layers.windows import Windows
from harness.spec.layers import pooling as spec
from harness.spec.layers.base import Shape


class Pooling(nn.Module):
    """The maximum or mean of every window: F.max_pool2d or F.avg_pool2d with Keras's padding.

    Padded places never win and never count. Steps are pooled as images of height 1.
    """

    def __init__(self, maximum: bool, windows: Windows, steps: bool) -> None:
        super().__init__()
        self.maximum = maximum
        self.windows = windows
        self.steps = steps

    def extra_repr(self) -> str:
        return f"{'max' if self.maximum else 'average'}, {self.windows}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x_NHWC = x.unsqueeze(1) if self.steps else x
        y_NHWC = self._pool(x_NHWC.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return y_NHWC.squeeze(1) if self.steps else y_NHWC

    def _pool(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        kernel, strides = self.windows.kernel, self.windows.strides
        padding, pad = self.windows.split(tuple(x_NCHW.shape[2:]))
        if self.maximum:
            if pad is not None:
                x_NCHW = F.pad(x_NCHW, pad, value=-math.inf)
            return F.max_pool2d(x_NCHW, kernel, strides, padding)
        if pad is None:
            return F.avg_pool2d(x_NCHW, kernel, strides, padding, count_include_pad=False)
        counted = F.avg_pool2d(F.pad(torch.ones_like(x_NCHW[:1, :1]), pad), kernel, strides)
        return F.avg_pool2d(F.pad(x_NCHW, pad), kernel, strides) / counted


class GlobalPooling(nn.Module):
    """The maximum or mean over all dimensions between batch and channels."""

    def __init__(self, maximum: bool, dimensions: tuple[int, ...], keepdims: bool) -> None:
        super().__init__()
        self.maximum = maximum
        self.dimensions = dimensions
        self.keepdims = keepdims

    def extra_repr(self) -> str:
        return f"{'max' if self.maximum else 'average'}, keepdims={self.keepdims}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # amax shares the gradient among equal maxima, as TensorFlow's reduce_max does.
        reduce = torch.amax if self.maximum else torch.mean
        return reduce(x, self.dimensions, self.keepdims)


class GlobalAveragePooling1D(nn.Module):
    """The mean over the steps that are not masked."""

    def __init__(self, keepdims: bool) -> None:
        super().__init__()
        self.keepdims = keepdims

    def forward(
        self, x_NTC: torch.Tensor, masks: tuple[torch.Tensor | None, ...]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        (mask_NT,) = masks
        if mask_NT is None:
            return x_NTC.mean(1, self.keepdims), None
        mask_NT1 = mask_NT.unsqueeze(-1)
        total = torch.where(mask_NT1, x_NTC, torch.zeros_like(x_NTC)).sum(1, self.keepdims)
        return total / mask_NT1.to(x_NTC.dtype).sum(1, self.keepdims), None


def _build_pooling(
    maximum: bool,
    layer: spec.MaxPooling1D | spec.MaxPooling2D | spec.AveragePooling1D | spec.AveragePooling2D,
    *shapes: Shape,
) -> nn.Module:
    in_front = (1,) * (2 - len(layer.pool_size))
    windows = Windows((*in_front, *layer.pool_size), (*in_front, *layer.effective_strides), layer.padding)
    return Pooling(maximum, windows, steps=bool(in_front))


def _build_global(
    maximum: bool,
    layer: spec.GlobalAveragePooling2D | spec.GlobalMaxPooling1D | spec.GlobalMaxPooling2D,
    *shapes: Shape,
) -> nn.Module:
    return GlobalPooling(maximum, tuple(range(1, layer.rank - 1)), layer.keepdims)


def build_global_average_pooling1d(layer: spec.GlobalAveragePooling1D, *shapes: Shape) -> nn.Module:
    return GlobalAveragePooling1D(layer.keepdims)


BUILDERS = {
    spec.MaxPooling1D: functools.partial(_build_pooling, True),
    spec.MaxPooling2D: functools.partial(_build_pooling, True),
    spec.AveragePooling1D: functools.partial(_build_pooling, False),
    spec.AveragePooling2D: functools.partial(_build_pooling, False),
    spec.GlobalAveragePooling1D: build_global_average_pooling1d,
    spec.GlobalAveragePooling2D: functools.partial(_build_global, False),
    spec.GlobalMaxPooling1D: functools.partial(_build_global, True),
    spec.GlobalMaxPooling2D: functools.partial(_build_global, True),
}
