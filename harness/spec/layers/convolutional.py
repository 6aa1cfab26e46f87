"""Convolutional layers (keras/src/layers/convolutional). Kernels are (space..., inputs, outputs)."""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field, model_validator

from harness.errors import SpecError
from harness.spec.activations import ActivationArgument
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, Shape, Weight, known, product
from harness.spec.layers.spatial import CausalPadding, DataFormat, Padding, Size1, Size2, Sizes, window_shape
from harness.spec.regularizers import RegularizerArgument


def _check_dilation(layer: Any) -> None:
    # keras/src/layers/convolutional/base_conv.py refuses the pair as well.
    if max(layer.strides) > 1 and max(layer.dilation_rate) > 1:
        raise SpecError(f"strides > 1 and dilation_rate > 1 exclude each other, got strides={layer.strides} "
                        f"and dilation_rate={layer.dilation_rate}.")


class _Conv(Layer):
    """What Conv1D and Conv2D compute; the subclasses declare the arguments with their rank."""

    def _sizes(self) -> tuple[Sizes, Sizes, Sizes, str]:
        a: Any = self
        return a.kernel_size, a.strides, a.dilation_rate, a.padding

    @model_validator(mode="after")
    def _check(self) -> _Conv:
        _check_dilation(self)
        a: Any = self
        if a.filters % a.groups:
            raise SpecError(f"filters must be a multiple of groups, got filters={a.filters} and groups={a.groups}.")
        return self

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        a: Any = self
        kernel, strides, dilation, padding = self._sizes()
        shape = window_shape(self, shapes[0], a.filters, kernel, strides, padding, dilation)
        channels = known(shapes[0][-1], self, "the channels")
        if channels % a.groups:
            raise SpecError(f"the number of input channels must be a multiple of groups, got {channels} channels "
                            f"and groups={a.groups}.")
        return shape

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        a: Any = self
        channels = known(shapes[0][-1], self, "the channels")
        kernel = Weight("kernel", (*a.kernel_size, channels // a.groups, a.filters), a.kernel_initializer,
                        regularizer=a.kernel_regularizer)
        bias = Weight("bias", (a.filters,), a.bias_initializer, regularizer=a.bias_regularizer)
        return (kernel, bias) if a.use_bias else (kernel,)

    def flops(self, *shapes: Shape) -> int | None:
        windows = product(self.compute_output_shape(*shapes)[1:-1])
        return None if windows is None else 2 * windows * self.weights(*shapes)[0].size


class Conv1D(_Conv):
    """activation(conv(x, kernel) + bias) over (batch, steps, channels); kernel (width, inputs / groups, filters).

    padding "causal": output t sees the inputs up to t only.
    """

    filters: int = Field(gt=0)
    kernel_size: Size1
    strides: Size1 = (1,)
    padding: CausalPadding = "valid"
    data_format: DataFormat = "channels_last"
    dilation_rate: Size1 = (1,)
    groups: int = Field(default=1, gt=0)
    activation: ActivationArgument = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None


class Conv2D(_Conv):
    """activation(conv(x, kernel) + bias) over (batch, height, width, channels); kernel
    (height, width, inputs / groups, filters)."""

    filters: int = Field(gt=0)
    kernel_size: Size2
    strides: Size2 = (1, 1)
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"
    dilation_rate: Size2 = (1, 1)
    groups: int = Field(default=1, gt=0)
    activation: ActivationArgument = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None


def _check_square(layer: Any) -> None:
    if len(set(layer.strides)) > 1:
        raise SpecError(f"TensorFlow's depthwise convolution takes equal strides only, got {layer.strides}.",
                        hint="Use one number for strides.")


class DepthwiseConv2D(Layer):
    """Every channel convolved with its own `depth_multiplier` kernels; kernel (height, width, inputs, multiplier),
    output channel c * multiplier + m."""

    kernel_size: Size2
    strides: Size2 = (1, 1)
    padding: Padding = "valid"
    depth_multiplier: int = Field(default=1, gt=0)
    data_format: DataFormat = "channels_last"
    dilation_rate: Size2 = (1, 1)
    activation: ActivationArgument = None
    use_bias: bool = True
    depthwise_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    depthwise_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None

    @model_validator(mode="after")
    def _check(self) -> DepthwiseConv2D:
        _check_square(self)
        return self

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        channels = known(shapes[0][-1], self, "the channels")
        return window_shape(self, shapes[0], channels * self.depth_multiplier, self.kernel_size, self.strides,
                            self.padding, self.dilation_rate)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        channels = known(shapes[0][-1], self, "the channels")
        kernel = Weight("kernel", (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer,
                        regularizer=self.depthwise_regularizer)
        bias = Weight("bias", (channels * self.depth_multiplier,), self.bias_initializer,
                      regularizer=self.bias_regularizer)
        return (kernel, bias) if self.use_bias else (kernel,)

    def flops(self, *shapes: Shape) -> int | None:
        outputs = product(self.compute_output_shape(*shapes)[1:])
        return None if outputs is None else 2 * outputs * math.prod(self.kernel_size)


class SeparableConv2D(Layer):
    """A depthwise convolution, then one over 1x1 windows; strides, padding and dilation act on the first."""

    filters: int = Field(gt=0)
    kernel_size: Size2
    strides: Size2 = (1, 1)
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"
    dilation_rate: Size2 = (1, 1)
    depth_multiplier: int = Field(default=1, gt=0)
    activation: ActivationArgument = None
    use_bias: bool = True
    depthwise_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    pointwise_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    depthwise_regularizer: RegularizerArgument = None
    pointwise_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None

    @model_validator(mode="after")
    def _check(self) -> SeparableConv2D:
        _check_square(self)
        return self

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        known(shapes[0][-1], self, "the channels")
        return window_shape(self, shapes[0], self.filters, self.kernel_size, self.strides, self.padding,
                            self.dilation_rate)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        channels = known(shapes[0][-1], self, "the channels")
        depthwise = Weight("depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier),
                           self.depthwise_initializer, regularizer=self.depthwise_regularizer)
        pointwise = Weight("pointwise_kernel", (1, 1, channels * self.depth_multiplier, self.filters),
                           self.pointwise_initializer, regularizer=self.pointwise_regularizer)
        bias = Weight("bias", (self.filters,), self.bias_initializer, regularizer=self.bias_regularizer)
        return (depthwise, pointwise, bias) if self.use_bias else (depthwise, pointwise)

    def flops(self, *shapes: Shape) -> int | None:
        windows = product(self.compute_output_shape(*shapes)[1:-1])
        depthwise, pointwise = self.weights(*shapes)[:2]
        return None if windows is None else 2 * windows * (depthwise.size + pointwise.size)


LAYERS = (Conv1D, Conv2D, DepthwiseConv2D, SeparableConv2D)
