"""Core layers (keras/src/layers/core): Dense, EinsumDense, Activation, Identity, Embedding, Masking."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from harness.errors import SpecError
from harness.spec.activations import ActivationArgument
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, check_bias_place, known, product
from harness.spec.layers.einsum import EinsumShapes, einsum_shapes, parse_equation
from harness.spec.regularizers import RegularizerArgument


class Dense(Layer):
    """activation(x @ kernel + bias) over the last axis; kernel (inputs, units)."""

    mask_rule: ClassVar[MaskRule] = "pass"

    units: int = Field(gt=0)
    activation: ActivationArgument = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) < 2:
            raise SpecError(f"Dense expects inputs of shape (batch, ..., features), got {shape}.")
        known(shape[-1], self, "the last dimension")
        return (*shape[:-1], self.units)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", (known(shapes[0][-1], self, "the last dimension"), self.units),
                        self.kernel_initializer, regularizer=self.kernel_regularizer)
        bias = Weight("bias", (self.units,), self.bias_initializer, regularizer=self.bias_regularizer)
        return (kernel, bias) if self.use_bias else (kernel,)

    def flops(self, *shapes: Shape) -> int | None:
        size = product(shapes[0][1:])
        return None if size is None else 2 * size * self.units


class Activation(Layer):
    """An activation function as a layer."""

    mask_rule: ClassVar[MaskRule] = "pass"

    activation: ActivationArgument


class Embedding(Layer):
    """Row `id` of a table (input_dim, output_dim) for every id. mask_zero: id 0 is padding."""

    # Keras 3 says that input_length is not needed, and goes on without it.
    ignored: ClassVar[frozenset[str]] = frozenset({*Layer.ignored, "input_length"})
    mask_rule: ClassVar[MaskRule] = "own"

    input_dim: int = Field(gt=0)
    output_dim: int = Field(gt=0)
    embeddings_initializer: InitializerArgument = initializer_argument("uniform")
    embeddings_regularizer: RegularizerArgument = None
    mask_zero: bool = False

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0], self.output_dim)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return (Weight("embeddings", (self.input_dim, self.output_dim), self.embeddings_initializer,
                       regularizer=self.embeddings_regularizer),)


class Masking(Layer):
    """Steps in which every feature equals `mask_value` are masked, and set to 0."""

    mask_rule: ClassVar[MaskRule] = "own"

    mask_value: float = 0.0


class EinsumDense(Layer):
    """activation(einsum(equation, x, kernel) + bias).

    equation: letters for the dimensions, batch included, as "abc,cd->abd"; "..." stands for any others.
    output_shape: without the batch and what "..." stands for; None where the input says it. bias_axes: letters of the
    output that the bias has.
    """

    equation: str
    output_shape: tuple[int | None, ...]
    activation: ActivationArgument = None
    bias_axes: str | None = None
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None

    @field_validator("output_shape", mode="before")
    @classmethod
    def _one_size(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) else value

    @field_validator("equation")
    @classmethod
    def _check_equation(cls, value: str) -> str:
        parse_equation(value)
        return value

    def shapes(self, *shapes: Shape) -> EinsumShapes:
        return einsum_shapes(self.equation, self.bias_axes, shapes[0], self.output_shape)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        return self.shapes(*shapes).output

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        found = self.shapes(*shapes)
        kernel = Weight("kernel", found.kernel, self.kernel_initializer, regularizer=self.kernel_regularizer,
                        fans=found.fans)
        if found.bias is None:
            return (kernel,)
        check_bias_place(self, found.output, found.bias)
        return kernel, Weight("bias", found.bias, self.bias_initializer, regularizer=self.bias_regularizer)

    def flops(self, *shapes: Shape) -> int | None:
        products = self.shapes(*shapes).products
        return None if products is None else 2 * products


class Identity(Layer):
    """The input as it is."""

    mask_rule: ClassVar[MaskRule] = "pass"


LAYERS = (Dense, EinsumDense, Activation, Identity, Embedding, Masking)
