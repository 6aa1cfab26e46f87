"""Pooling in PyTorch. Tensors come and go as NHWC (steps: NTC).

Shape suffixes: N batch, T steps, H height, W width, C channels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.layers.windows import Windows, windows_of
from harness.backends.pytorch.masks import Masks
from harness.spec.layers import pooling as spec
from harness.spec.layers.base import Shape
from harness.spec.layers.spatial import Sizes


class Pooling(nn.Module):
    """The maximum or mean of every window: torch's pooling of images or volumes with Keras's padding.

    Padded places never win and never count. Steps are pooled as images of height 1.
    """

    def __init__(self, windows: Windows, maximum: bool, steps: bool = False) -> None:
        super().__init__()
        self.maximum = maximum
        self.windows = windows
        self.steps = steps

    def extra_repr(self) -> str:
        return f"{'max' if self.maximum else 'average'}, {self.windows}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x_NHWC = x.unsqueeze(1) if self.steps else x
        y_NHWC = self._pool(x_NHWC.movedim(-1, 1)).movedim(1, -1)
        return y_NHWC.squeeze(1) if self.steps else y_NHWC

    def _pool(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        kernel, strides = self.windows.kernel, self.windows.strides
        padding, pad = self.windows.split(tuple(x_NCHW.shape[2:]))
        images = len(kernel) == 2
        if self.maximum:
            if pad is not None:
                x_NCHW = F.pad(x_NCHW, pad, value=-math.inf)
            return (F.max_pool2d if images else F.max_pool3d)(x_NCHW, kernel, strides, padding)
        average = F.avg_pool2d if images else F.avg_pool3d
        if pad is None:
            return average(x_NCHW, kernel, strides, padding, count_include_pad=False)
        counted = average(F.pad(torch.ones_like(x_NCHW[:1, :1]), pad), kernel, strides)
        return average(F.pad(x_NCHW, pad), kernel, strides) / counted


class AdaptivePooling(nn.Module):
    """torch's adaptive pooling, which has Keras's windows.

    Maxima are taken one dimension after the other, as Keras does: of equal values another one wins otherwise,
    and gets the gradient.
    """

    def __init__(self, output_size: Sizes, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"{'max' if self.maximum else 'average'}, {self.output_size}"

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        x_NCHW, rank = x_NHWC.movedim(-1, 1), len(self.output_size)
        if not self.maximum:
            average: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[rank - 1]
            y_NCHW: torch.Tensor = average(x_NCHW, self.output_size)
            return y_NCHW.movedim(1, -1)
        largest: Any = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[rank - 1]
        if rank == 3:
            # Compiled by Inductor, the gradient over volumes with the channels last is wrong (PyTorch 2.13).
            x_NCHW = x_NCHW.contiguous()
        for axis in range(rank):
            if x_NCHW.shape[axis + 2] != self.output_size[axis]:
                x_NCHW = largest(x_NCHW, (*self.output_size[:axis + 1], *x_NCHW.shape[axis + 3:]))
        return x_NCHW.movedim(1, -1)


class GlobalPooling(nn.Module):
    """The maximum or mean over all dimensions between batch and channels."""

    def __init__(self, dimensions: tuple[int, ...], maximum: bool, keepdims: bool = False) -> None:
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

    def __init__(self, keepdims: bool = False) -> None:
        super().__init__()
        self.keepdims = keepdims

    def forward(self, x_NTC: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        if masks is None:
            return x_NTC.mean(1, self.keepdims)
        (mask_NT,) = masks
        assert mask_NT is not None
        mask_NT1 = mask_NT.unsqueeze(-1)
        total = torch.where(mask_NT1, x_NTC, torch.zeros_like(x_NTC)).sum(1, self.keepdims)
        return total / mask_NT1.to(x_NTC.dtype).sum(1, self.keepdims)

    def compute_mask(self, inputs: Sequence[torch.Tensor], masks: Masks) -> None:
        return None


def _build_pooling(maximum: bool, layer: Any, *shapes: Shape) -> nn.Module:
    windows = windows_of(layer.pool_size, layer.effective_strides, layer.padding)
    return Pooling(windows, maximum, steps=len(layer.pool_size) == 1)


def _build_global(maximum: bool, layer: Any, *shapes: Shape) -> nn.Module:
    return GlobalPooling(tuple(range(1, layer.rank - 1)), maximum, layer.keepdims)


def _build_adaptive(maximum: bool, layer: Any, *shapes: Shape) -> nn.Module:
    return AdaptivePooling(layer.output_size, maximum)


def build_global_average_pooling1d(layer: spec.GlobalAveragePooling1D, *shapes: Shape) -> nn.Module:
    return GlobalAveragePooling1D(layer.keepdims)


BUILDERS = {
    spec.MaxPooling1D: functools.partial(_build_pooling, True),
    spec.MaxPooling2D: functools.partial(_build_pooling, True),
    spec.MaxPooling3D: functools.partial(_build_pooling, True),
    spec.AveragePooling1D: functools.partial(_build_pooling, False),
    spec.AveragePooling2D: functools.partial(_build_pooling, False),
    spec.AveragePooling3D: functools.partial(_build_pooling, False),
    spec.GlobalAveragePooling1D: build_global_average_pooling1d,
    spec.GlobalAveragePooling2D: functools.partial(_build_global, False),
    spec.GlobalAveragePooling3D: functools.partial(_build_global, False),
    spec.GlobalMaxPooling1D: functools.partial(_build_global, True),
    spec.GlobalMaxPooling2D: functools.partial(_build_global, True),
    spec.GlobalMaxPooling3D: functools.partial(_build_global, True),
    spec.AdaptiveAveragePooling1D: functools.partial(_build_adaptive, False),
    spec.AdaptiveAveragePooling2D: functools.partial(_build_adaptive, False),
    spec.AdaptiveAveragePooling3D: functools.partial(_build_adaptive, False),
    spec.AdaptiveMaxPooling1D: functools.partial(_build_adaptive, True),
    spec.AdaptiveMaxPooling2D: functools.partial(_build_adaptive, True),
    spec.AdaptiveMaxPooling3D: functools.partial(_build_adaptive, True),
}
