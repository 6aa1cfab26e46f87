"""Depthwise and separable convolutions in PyTorch: grouped convolutions of torch.nn.

Shape suffixes: N batch, T steps, H height, W width, C channels in, F filters out.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.layers.convolutional import Conv1D, Conv2D, channels_of
from harness.backends.pytorch.layers.windows import Windows, windows_of
from harness.backends.pytorch.weights import WeightMap, permuted, reshaped, same
from harness.spec.layers import depthwise as spec
from harness.spec.layers.base import Shape
from harness.spec.layers.spatial import Sizes


class SeparableConv(nn.Module):
    """A depthwise convolution, then a pointwise one, followed by an activation. steps: over (N, T, C)."""

    def __init__(
        self, inputs: int, multiplier: int, filters: int, windows: Windows, steps: bool = False, bias: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        convolution = Conv1D if steps else Conv2D
        ones = Windows((1, 1), (1, 1), "valid")
        self.depthwise = convolution(inputs, inputs * multiplier, windows, inputs, False, None)
        self.pointwise = convolution(inputs * multiplier, filters, ones, 1, bias, activation)

    def pre_activation(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        return self.pointwise.pre_activation(self.depthwise(x_NHWC))

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        y_NHWF: torch.Tensor = self.pointwise(self.depthwise(x_NHWC))
        return y_NHWF


def depthwise_map(tensor: str, inputs: int, multiplier: int, kernel: Sizes) -> WeightMap:
    """Keras's (space..., C, M) as torch's (C * M, 1, space...): output channel c * M + m in both."""
    rank = len(kernel)
    return reshaped(tensor, (inputs * multiplier, 1, *kernel), (*kernel, inputs, multiplier),
                    rank, rank + 1, *range(rank))


def build_depthwise(layer: spec.DepthwiseConv1D | spec.DepthwiseConv2D, *shapes: Shape) -> nn.Module:
    channels = channels_of(shapes[0])
    windows = windows_of(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    convolution = Conv1D if len(layer.kernel_size) == 1 else Conv2D
    module = convolution(channels, channels * layer.depth_multiplier, windows, channels, layer.use_bias,
                         layer.activation)
    kernel = depthwise_map("weight", channels, layer.depth_multiplier, layer.kernel_size)
    module.keras_weights = {"kernel": kernel, "bias": same("bias")}
    return module


def build_separable(layer: spec.SeparableConv1D | spec.SeparableConv2D, *shapes: Shape) -> nn.Module:
    windows = windows_of(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    channels, rank = channels_of(shapes[0]), len(layer.kernel_size)
    module = SeparableConv(channels, layer.depth_multiplier, layer.filters, windows, rank == 1, layer.use_bias,
                           layer.activation)
    depthwise = depthwise_map("depthwise.weight", channels, layer.depth_multiplier, layer.kernel_size)
    pointwise = permuted("pointwise.weight", rank + 1, rank, *range(rank))
    module.keras_weights = {  # type: ignore[assignment]
        "depthwise_kernel": depthwise, "pointwise_kernel": pointwise, "bias": same("pointwise.bias")}
    return module


BUILDERS = {
    spec.DepthwiseConv1D: build_depthwise,
    spec.DepthwiseConv2D: build_depthwise,
    spec.SeparableConv1D: build_separable,
    spec.SeparableConv2D: build_separable,
}
