"""Convolutional layers (keras/src/layers/convolutional). Kernels are (space..., inputs, outputs)."""

from typing import Any

from pydantic import Field, model_validator

from harness.errors import SpecError
from harness.spec.activations import ActivationArgument
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, Shape, Weight, known, product
from harness.spec.layers.spatial import (
    CausalPadding,
    DataFormat,
    Padding,
    Size1,
    Size2,
    Size3,
    Sizes,
    either_layout,
    window_shape,
)
from harness.spec.regularizers import RegularizerArgument


def check_dilation(layer: Any) -> None:
    """Raises SpecError for strides and dilation at once."""
    # keras/src/layers/convolutional/base_conv.py refuses the pair as well.
    if max(layer.strides) > 1 and max(layer.dilation_rate) > 1:
        raise SpecError(f"strides > 1 and dilation_rate > 1 exclude each other, got strides={layer.strides} "
                        f"and dilation_rate={layer.dilation_rate}.")


class _Conv(Layer):
    """What Conv1D, Conv2D and Conv3D compute; the subclasses declare the arguments with their rank."""

    def _sizes(self) -> tuple[Sizes, Sizes, Sizes, str]:
        a: Any = self
        return a.kernel_size, a.strides, a.dilation_rate, a.padding

    @model_validator(mode="after")
    def _check(self) -> "_Conv":
        check_dilation(self)
        a: Any = self
        if a.filters % a.groups:
            raise SpecError(f"filters must be a multiple of groups, got filters={a.filters} and groups={a.groups}.")
        return self

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        a: Any = self
        kernel, strides, dilation, padding = self._sizes()
        shape = window_shape(self, shapes[0], a.filters, kernel, strides, padding, dilation)
        channels = known(shapes[0][-1], self, "the channels")
        if channels % a.groups:
            raise SpecError(f"the number of input channels must be a multiple of groups, got {channels} channels "
                            f"and groups={a.groups}.")
        return shape

    @either_layout
    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        a: Any = self
        channels = known(shapes[0][-1], self, "the channels")
        kernel = Weight("kernel", (*a.kernel_size, channels // a.groups, a.filters), a.kernel_initializer,
                        regularizer=a.kernel_regularizer, constraint=a.kernel_constraint)
        bias = Weight("bias", (a.filters,), a.bias_initializer, regularizer=a.bias_regularizer,
                      constraint=a.bias_constraint)
        return (kernel, bias) if a.use_bias else (kernel,)

    @either_layout
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
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


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
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


class Conv3D(_Conv):
    """activation(conv(x, kernel) + bias) over (batch, depth, height, width, channels); kernel
    (depth, height, width, inputs / groups, filters)."""

    filters: int = Field(gt=0)
    kernel_size: Size3
    strides: Size3 = (1, 1, 1)
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"
    dilation_rate: Size3 = (1, 1, 1)
    groups: int = Field(default=1, gt=0)
    activation: ActivationArgument = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


LAYERS = (Conv1D, Conv2D, Conv3D)
