"""Convolutions in PyTorch: torch.nn's own, between Keras's layout and torch's.

Tensors come and go as NHWC; the permutes are views, and what torch sees is its channels_last memory format.
Shape suffixes: N batch, T steps, H height, W width, C channels in, F filters out.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.layers.windows import Windows, convolve
from harness.backends.pytorch.weights import WeightMap, permuted, reshaped, same
from harness.spec.layers import convolutional as spec
from harness.spec.layers.base import Shape


class Conv2D(nn.Conv2d):
    """nn.Conv2d with Keras's padding, followed by an activation."""

    keras_weights = {"kernel": permuted("weight", 3, 2, 0, 1), "bias": same("bias")}

    def __init__(
        self, inputs: int, filters: int, windows: Windows, groups: int, bias: bool, activation: str | None,
    ) -> None:
        super().__init__(inputs, filters, windows.kernel, windows.strides, 0, windows.dilation, groups, bias)  # type: ignore[arg-type]
        self.windows = windows
        self.activation = activation_function(activation)

    def pre_activation(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        x_NCHW = x_NHWC.permute(0, 3, 1, 2)
        return convolve(x_NCHW, self.weight, self.bias, self.windows, self.groups).permute(0, 2, 3, 1)

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        y_NHWF = self.pre_activation(x_NHWC)
        return y_NHWF if self.activation is None else self.activation(y_NHWF)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, {self.windows}, groups={self.groups}"


class Conv1D(nn.Conv1d):
    """nn.Conv1d with Keras's padding, followed by an activation.

    It runs as a convolution of images of height 1: that keeps the channels last in memory, without a copy.
    """

    keras_weights = {"kernel": permuted("weight", 2, 1, 0), "bias": same("bias")}

    def __init__(
        self, inputs: int, filters: int, windows: Windows, groups: int, bias: bool, activation: str | None,
    ) -> None:
        super().__init__(inputs, filters, windows.kernel[1], windows.strides[1], 0, windows.dilation[1], groups, bias)
        self.windows = windows
        self.activation = activation_function(activation)

    def pre_activation(self, x_NTC: torch.Tensor) -> torch.Tensor:
        x_NC1T = x_NTC.unsqueeze(1).permute(0, 3, 1, 2)
        y_NF1T = convolve(x_NC1T, self.weight.unsqueeze(2), self.bias, self.windows, self.groups)
        return y_NF1T.permute(0, 2, 3, 1).squeeze(1)

    def forward(self, x_NTC: torch.Tensor) -> torch.Tensor:
        y_NTF = self.pre_activation(x_NTC)
        return y_NTF if self.activation is None else self.activation(y_NTF)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, {self.windows}, groups={self.groups}"


class SeparableConv2D(nn.Module):
    """A depthwise nn.Conv2d, then a pointwise one, followed by an activation."""

    def __init__(
        self, inputs: int, multiplier: int, filters: int, windows: Windows, bias: bool, activation: str | None,
    ) -> None:
        super().__init__()
        self.depthwise = Conv2D(inputs, inputs * multiplier, windows, inputs, False, None)
        self.pointwise = Conv2D(inputs * multiplier, filters, Windows((1, 1), (1, 1), "valid"), 1, bias, activation)
        self.keras_weights = {
            "depthwise_kernel": depthwise_map("depthwise.weight", inputs, multiplier, windows),
            "pointwise_kernel": permuted("pointwise.weight", 3, 2, 0, 1),
            "bias": same("pointwise.bias"),
        }

    def pre_activation(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        return self.pointwise.pre_activation(self.depthwise(x_NHWC))

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        y_NHWF: torch.Tensor = self.pointwise(self.depthwise(x_NHWC))
        return y_NHWF


def depthwise_map(tensor: str, inputs: int, multiplier: int, windows: Windows) -> WeightMap:
    """Keras's (height, width, C, M) as torch's (C * M, 1, height, width): output channel c * M + m in both."""
    height, width = windows.kernel
    return reshaped(tensor, (inputs * multiplier, 1, height, width), (height, width, inputs, multiplier), 2, 3, 0, 1)


def channels_of(shape: Shape) -> int:
    """The channels, which the spec made sure are known."""
    channels = shape[-1]
    assert channels is not None
    return channels


def build_conv1d(layer: spec.Conv1D, *shapes: Shape) -> nn.Module:
    # Height 1 goes in front: images of height 1.
    windows = Windows((1, *layer.kernel_size), (1, *layer.strides), layer.padding, (1, *layer.dilation_rate))
    return Conv1D(channels_of(shapes[0]), layer.filters, windows, layer.groups, layer.use_bias, layer.activation)


def build_conv2d(layer: spec.Conv2D, *shapes: Shape) -> nn.Module:
    windows = Windows(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    return Conv2D(channels_of(shapes[0]), layer.filters, windows, layer.groups, layer.use_bias, layer.activation)


def build_depthwise_conv2d(layer: spec.DepthwiseConv2D, *shapes: Shape) -> nn.Module:
    channels = channels_of(shapes[0])
    windows = Windows(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    module = Conv2D(channels, channels * layer.depth_multiplier, windows, channels, layer.use_bias, layer.activation)
    module.keras_weights = {"kernel": depthwise_map("weight", channels, layer.depth_multiplier, windows),
                            "bias": same("bias")}
    return module


def build_separable_conv2d(layer: spec.SeparableConv2D, *shapes: Shape) -> nn.Module:
    windows = Windows(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    return SeparableConv2D(channels_of(shapes[0]), layer.depth_multiplier, layer.filters, windows, layer.use_bias,
                           layer.activation)


BUILDERS = {
    spec.Conv1D: build_conv1d,
    spec.Conv2D: build_conv2d,
    spec.DepthwiseConv2D: build_depthwise_conv2d,
    spec.SeparableConv2D: build_separable_conv2d,
}
