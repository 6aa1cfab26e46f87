"""Depthwise and separable convolutions (keras/src/layers/convolutional). Depthwise kernels are
(space..., inputs, multiplier); output channel c * multiplier + m."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from harness.errors import SpecError
from harness.spec.activations import ActivationArgument
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, Shape, Weight, known, product
from harness.spec.layers.spatial import DataFormat, Padding, Size1, Size2, either_layout, window_shape
from harness.spec.products import Products, make_product
from harness.spec.regularizers import RegularizerArgument


def _check_square(layer: Any) -> None:
    if len(set(layer.strides)) > 1:
        raise SpecError(f"TensorFlow's depthwise convolution takes equal strides only, got {layer.strides}.",
                        hint="Use one number for strides.")


class _Depthwise(Layer):
    """What DepthwiseConv1D and DepthwiseConv2D compute; the subclasses declare the arguments with their rank."""

    @model_validator(mode="after")
    def _check(self) -> _Depthwise:
        _check_square(self)
        return self

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        a: Any = self
        channels = known(shapes[0][-1], self, "the channels")
        return window_shape(self, shapes[0], channels * a.depth_multiplier, a.kernel_size, a.strides, a.padding,
                            a.dilation_rate)

    @either_layout
    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        a: Any = self
        channels = known(shapes[0][-1], self, "the channels")
        kernel = Weight("kernel", (*a.kernel_size, channels, a.depth_multiplier), a.depthwise_initializer,
                        regularizer=a.depthwise_regularizer, constraint=a.depthwise_constraint)
        bias = Weight("bias", (channels * a.depth_multiplier,), a.bias_initializer, regularizer=a.bias_regularizer,
                      constraint=a.bias_constraint)
        return (kernel, bias) if a.use_bias else (kernel,)

    @either_layout
    def flops(self, *shapes: Shape) -> int | None:
        a: Any = self
        outputs = product(self.compute_output_shape(*shapes)[1:])
        return None if outputs is None else 2 * outputs * math.prod(a.kernel_size)


class DepthwiseConv1D(_Depthwise):
    """Every channel of (batch, steps, channels) convolved with its own `depth_multiplier` kernels."""

    kernel_size: Size1
    strides: Size1 = (1,)
    padding: Padding = "valid"
    depth_multiplier: int = Field(default=1, gt=0)
    data_format: DataFormat = "channels_last"
    dilation_rate: Size1 = (1,)
    activation: ActivationArgument = None
    use_bias: bool = True
    depthwise_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    depthwise_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    depthwise_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


class DepthwiseConv2D(_Depthwise):
    """Every channel of images convolved with its own `depth_multiplier` kernels."""

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
    depthwise_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


class _Separable(Layer):
    """A depthwise convolution, then one over windows of size 1; strides, padding and dilation act on the first."""

    @model_validator(mode="after")
    def _check(self) -> _Separable:
        _check_square(self)
        return self

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        a: Any = self
        known(shapes[0][-1], self, "the channels")
        return window_shape(self, shapes[0], a.filters, a.kernel_size, a.strides, a.padding, a.dilation_rate)

    @either_layout
    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        a: Any = self
        channels = known(shapes[0][-1], self, "the channels")
        depthwise = Weight("depthwise_kernel", (*a.kernel_size, channels, a.depth_multiplier),
                           a.depthwise_initializer, regularizer=a.depthwise_regularizer,
                           constraint=a.depthwise_constraint)
        ones = (1,) * len(a.kernel_size)
        pointwise = Weight("pointwise_kernel", (*ones, channels * a.depth_multiplier, a.filters),
                           a.pointwise_initializer, regularizer=a.pointwise_regularizer,
                           constraint=a.pointwise_constraint)
        bias = Weight("bias", (a.filters,), a.bias_initializer, regularizer=a.bias_regularizer,
                      constraint=a.bias_constraint)
        return (depthwise, pointwise, bias) if a.use_bias else (depthwise, pointwise)

    @either_layout
    def flops(self, *shapes: Shape) -> int | None:
        windows = product(self.compute_output_shape(*shapes)[1:-1])
        depthwise, pointwise = self.weights(*shapes)[:2]
        return None if windows is None else 2 * windows * (depthwise.size + pointwise.size)

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        depthwise, pointwise = self.weights(*shapes)[:2]
        count = self.flops(*shapes)
        if count is None:
            return None
        first = count * depthwise.size // (depthwise.size + pointwise.size)
        return (make_product(first, [0], [depthwise.role]),
                make_product(count - first, [0, depthwise.role], [pointwise.role]))


class SeparableConv1D(_Separable):
    """A depthwise convolution over steps, then a pointwise one."""

    filters: int = Field(gt=0)
    kernel_size: Size1
    strides: Size1 = (1,)
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"
    dilation_rate: Size1 = (1,)
    depth_multiplier: int = Field(default=1, gt=0)
    activation: ActivationArgument = None
    use_bias: bool = True
    depthwise_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    pointwise_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    depthwise_regularizer: RegularizerArgument = None
    pointwise_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    depthwise_constraint: ConstraintArgument = None
    pointwise_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


class SeparableConv2D(_Separable):
    """A depthwise convolution over images, then a pointwise one."""

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
    depthwise_constraint: ConstraintArgument = None
    pointwise_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


LAYERS = (DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D)
