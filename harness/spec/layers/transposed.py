"""Transposed convolutions (keras/src/layers/convolutional). Kernels are (space..., filters, inputs).

Sizes that come out (keras/src/backend/common/backend_utils.py): padding "valid" (n - 1) * stride + max(kernel, stride),
"same" n * stride; with output_padding (n - 1) * stride + kernel + output_padding and
(n - 1) * stride + kernel % 2 + output_padding.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from harness.errors import SpecError
from harness.spec.activations import ActivationArgument
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, Shape, Weight, known, product
from harness.spec.layers.spatial import (
    SPACE,
    DataFormat,
    Padding,
    Size1,
    Size2,
    Size3,
    Sizes,
    either_layout,
    sizes_validator,
)
from harness.spec.regularizers import RegularizerArgument


def _extra_validator(rank: int) -> Any:
    read = sizes_validator(rank, 0)
    return lambda value: None if value is None else read(value)


def _check_dilation(value: Any) -> Any:
    if any(rate != 1 for rate in (value if isinstance(value, (list, tuple)) else (value,))):
        raise SpecError(f"dilation_rate={value!r} is not supported: TensorFlow cannot run a dilated transposed "
                        "convolution on a CPU.", hint="Leave it at 1.")
    return value


Extra1 = Annotated[Sizes | None, BeforeValidator(_extra_validator(1))]
Extra2 = Annotated[Sizes | None, BeforeValidator(_extra_validator(2))]
Extra3 = Annotated[Sizes | None, BeforeValidator(_extra_validator(3))]
Undilated1 = Annotated[Size1, BeforeValidator(_check_dilation)]
Undilated2 = Annotated[Size2, BeforeValidator(_check_dilation)]
Undilated3 = Annotated[Size3, BeforeValidator(_check_dilation)]


def transposed_length(size: int, kernel: int, stride: int, padding: str, extra: int | None) -> int:
    """The size of one dimension of the output; extra: output_padding."""
    if padding == "valid":
        return (size - 1) * stride + (max(kernel, stride) if extra is None else kernel + extra)
    return size * stride if extra is None else (size - 1) * stride + kernel % 2 + extra


class _ConvTranspose(Layer):
    """What the transposed convolutions compute; the subclasses declare the arguments with their rank."""

    @model_validator(mode="after")
    def _check(self) -> _ConvTranspose:
        a: Any = self
        for kernel, stride, extra in zip(a.kernel_size, a.strides, a.output_padding or (), strict=False):
            if extra >= stride:
                raise SpecError(f"output_padding must be smaller than strides, got output_padding={a.output_padding} "
                                f"and strides={a.strides}.")
            if a.padding == "same" and kernel % 2 == 0 and extra == 0:
                raise SpecError("output_padding=0 with padding='same' and an even kernel_size fails in TensorFlow.",
                                hint="Leave output_padding out, or give at least 1.")
        return self

    def output_lengths(self, sizes: Shape) -> Shape:
        """The sizes between batch and channels that come out for those that go in."""
        a: Any = self
        extras = a.output_padding or (None,) * len(sizes)
        return tuple(None if size is None else transposed_length(size, kernel, stride, a.padding, extra)
                     for size, kernel, stride, extra in zip(sizes, a.kernel_size, a.strides, extras, strict=True))

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        a: Any = self
        rank = len(a.kernel_size)
        if len(shapes[0]) != rank + 2:
            raise SpecError(f"{type(self).__name__} expects inputs of shape (batch, {', '.join(SPACE[rank])}, "
                            f"channels), got {shapes[0]}.")
        known(shapes[0][-1], self, "the channels")
        return (shapes[0][0], *self.output_lengths(shapes[0][1:-1]), a.filters)

    @either_layout
    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        a: Any = self
        channels = known(shapes[0][-1], self, "the channels")
        kernel = Weight("kernel", (*a.kernel_size, a.filters, channels), a.kernel_initializer,
                        regularizer=a.kernel_regularizer, constraint=a.kernel_constraint)
        bias = Weight("bias", (a.filters,), a.bias_initializer, regularizer=a.bias_regularizer,
                      constraint=a.bias_constraint)
        return (kernel, bias) if a.use_bias else (kernel,)

    @either_layout
    def flops(self, *shapes: Shape) -> int | None:
        # Every input position meets the whole kernel.
        positions = product(shapes[0][1:-1])
        return None if positions is None else 2 * positions * self.weights(*shapes)[0].size


class Conv1DTranspose(_ConvTranspose):
    """The gradient of Conv1D as a layer: enlarges (batch, steps, channels)."""

    filters: int = Field(gt=0)
    kernel_size: Size1
    strides: Size1 = (1,)
    padding: Padding = "valid"
    output_padding: Extra1 = None
    data_format: DataFormat = "channels_last"
    dilation_rate: Undilated1 = (1,)
    activation: ActivationArgument = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


class Conv2DTranspose(_ConvTranspose):
    """The gradient of Conv2D as a layer: enlarges (batch, height, width, channels)."""

    filters: int = Field(gt=0)
    kernel_size: Size2
    strides: Size2 = (1, 1)
    padding: Padding = "valid"
    output_padding: Extra2 = None
    data_format: DataFormat = "channels_last"
    dilation_rate: Undilated2 = (1, 1)
    activation: ActivationArgument = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


class Conv3DTranspose(_ConvTranspose):
    """The gradient of Conv3D as a layer: enlarges (batch, depth, height, width, channels)."""

    filters: int = Field(gt=0)
    kernel_size: Size3
    strides: Size3 = (1, 1, 1)
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"
    output_padding: Extra3 = None
    dilation_rate: Undilated3 = (1, 1, 1)
    activation: ActivationArgument = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None


LAYERS = (Conv1DTranspose, Conv2DTranspose, Conv3DTranspose)
