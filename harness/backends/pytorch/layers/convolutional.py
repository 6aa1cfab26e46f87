"""Convolutions in PyTorch: torch.nn's own, between Keras's layout and torch's.

Tensors come and go as NHWC; the permutes are views, and what torch sees is its channels_last memory format.
Shape suffixes: N batch, T steps, D depth, H height, W width, C channels in, F filters out.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.activations import activation_function
from harness.backends.pytorch.layers.windows import Windows, convolve, windows_of
from harness.backends.pytorch.weights import permuted, same
from harness.spec.layers import convolutional as spec
from harness.spec.layers.base import Shape


class Conv2D(nn.Conv2d):
    """nn.Conv2d with Keras's padding, followed by an activation."""

    keras_weights = {"kernel": permuted("weight", 3, 2, 0, 1), "bias": same("bias")}

    def __init__(
        self, inputs: int, filters: int, windows: Windows, groups: int = 1, bias: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__(inputs, filters, windows.kernel, windows.strides, 0, windows.dilation, groups, bias)  # type: ignore[arg-type]
        self.windows = windows
        self.activation = activation_function(activation, inplace=True, inplace_training=True)

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
        self, inputs: int, filters: int, windows: Windows, groups: int = 1, bias: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__(inputs, filters, windows.kernel[1], windows.strides[1], 0, windows.dilation[1], groups, bias)
        self.windows = windows
        self.activation = activation_function(activation, inplace=True, inplace_training=True)

    def pre_activation(self, x_NTC: torch.Tensor) -> torch.Tensor:
        x_NC1T = x_NTC.unsqueeze(1).permute(0, 3, 1, 2)
        y_NF1T = convolve(x_NC1T, self.weight.unsqueeze(2), self.bias, self.windows, self.groups)
        return y_NF1T.permute(0, 2, 3, 1).squeeze(1)

    def forward(self, x_NTC: torch.Tensor) -> torch.Tensor:
        y_NTF = self.pre_activation(x_NTC)
        return y_NTF if self.activation is None else self.activation(y_NTF)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, {self.windows}, groups={self.groups}"


class Conv3D(nn.Conv3d):
    """nn.Conv3d with Keras's padding, followed by an activation."""

    keras_weights = {"kernel": permuted("weight", 4, 3, 0, 1, 2), "bias": same("bias")}

    def __init__(
        self, inputs: int, filters: int, windows: Windows, groups: int = 1, bias: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__(inputs, filters, windows.kernel, windows.strides, 0, windows.dilation, groups, bias)  # type: ignore[arg-type]
        self.windows = windows
        self.activation = activation_function(activation, inplace=True, inplace_training=True)

    def pre_activation(self, x_NDHWC: torch.Tensor) -> torch.Tensor:
        x_NCDHW = x_NDHWC.permute(0, 4, 1, 2, 3)
        return convolve(x_NCDHW, self.weight, self.bias, self.windows, self.groups).permute(0, 2, 3, 4, 1)

    def forward(self, x_NDHWC: torch.Tensor) -> torch.Tensor:
        y_NDHWF = self.pre_activation(x_NDHWC)
        return y_NDHWF if self.activation is None else self.activation(y_NDHWF)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, {self.windows}, groups={self.groups}"


def channels_of(shape: Shape) -> int:
    """The channels, which the spec made sure are known."""
    channels = shape[-1]
    assert channels is not None
    return channels


def build_conv1d(layer: spec.Conv1D, *shapes: Shape) -> nn.Module:
    windows = windows_of(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    return Conv1D(channels_of(shapes[0]), layer.filters, windows, layer.groups, layer.use_bias, layer.activation)


def build_conv2d(layer: spec.Conv2D, *shapes: Shape) -> nn.Module:
    windows = windows_of(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    return Conv2D(channels_of(shapes[0]), layer.filters, windows, layer.groups, layer.use_bias, layer.activation)


def build_conv3d(layer: spec.Conv3D, *shapes: Shape) -> nn.Module:
    windows = windows_of(layer.kernel_size, layer.strides, layer.padding, layer.dilation_rate)
    return Conv3D(channels_of(shapes[0]), layer.filters, windows, layer.groups, layer.use_bias, layer.activation)


BUILDERS = {
    spec.Conv1D: build_conv1d,
    spec.Conv2D: build_conv2d,
    spec.Conv3D: build_conv3d,
}
