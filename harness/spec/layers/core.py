"""Core layers (keras/src/layers/core)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.activations import ActivationArgument
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, check_bias_place, known, product
from harness.spec.layers.einsum import EinsumShapes, einsum_shapes, parse_equation
from harness.spec.products import Products, make_product
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
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) < 2:
            raise SpecError(f"Dense expects inputs of shape (batch, ..., features), got {shape}.")
        known(shape[-1], self, "the last dimension")
        return (*shape[:-1], self.units)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", (known(shapes[0][-1], self, "the last dimension"), self.units),
                        self.kernel_initializer, regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        bias = Weight("bias", (self.units,), self.bias_initializer, regularizer=self.bias_regularizer,
                      constraint=self.bias_constraint)
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
    embeddings_constraint: ConstraintArgument = None
    mask_zero: bool = False

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0], self.output_dim)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return (Weight("embeddings", (self.input_dim, self.output_dim), self.embeddings_initializer,
                       regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint),)


class ReversibleEmbedding(Embedding):
    """An Embedding that goes back as well: called with reverse=True it gives the products of vectors (..., output_dim)
    with the table's rows (tie_weights), or with a matrix of their own: (..., input_dim).

    logit_soft_cap: these products become tanh(x / cap) * cap. A reverse call drops the mask.
    """

    tie_weights: bool = True
    reverse_dtype: None = None
    logit_soft_cap: float | None = Field(default=None, gt=0)

    @field_validator("reverse_dtype", mode="before")
    @classmethod
    def _check_reverse_dtype(cls, value: Any) -> None:
        if value is not None:
            raise SpecError(f"reverse_dtype={value!r} is not supported: a model here has one precision.",
                            hint="Leave it out, and choose the precision of the run.")

    @classmethod
    def positional(cls) -> list[str]:
        first = ["input_dim", "output_dim", "tie_weights"]
        return [*first, *(name for name in super().positional() if name not in first)]

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have."""
        for name, value in arguments.items():
            if name != "reverse":
                raise SpecError(f"a call of ReversibleEmbedding has no argument {name!r}.",
                                hint=did_you_mean(name, ["reverse"]))
            if not isinstance(value, bool):
                raise SpecError(f"reverse is True or False, got {value!r}.")

    def call_mask_rule(self, arguments: Mapping[str, Any]) -> MaskRule:
        return "drop" if arguments.get("reverse") else self.mask_rule

    def call_shape(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Shape | tuple[Shape, ...]:
        if not arguments.get("reverse"):
            return self.compute_output_shape(*shapes)
        if shapes[0][-1] not in (None, self.output_dim):
            raise SpecError(f"ReversibleEmbedding goes back from output_dim={self.output_dim} features, got inputs of "
                            f"shape {shapes[0]}.")
        return (*shapes[0][:-1], self.input_dim)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        back = Weight("reverse_embeddings", (self.output_dim, self.input_dim), self.embeddings_initializer)
        return super().weights(*shapes) if self.tie_weights else (*super().weights(*shapes), back)

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        if not arguments.get("reverse"):
            return ()
        steps = product(shapes[0][1:-1])
        role = "embeddings" if self.tie_weights else "reverse_embeddings"
        return None if steps is None else (
            make_product(2 * steps * self.output_dim * self.input_dim, [0], [role]),)


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

    activity_regularizer_before: ClassVar[tuple[str, ...]] = ()

    equation: str
    output_shape: tuple[int | None, ...]
    activation: ActivationArgument = None
    bias_axes: str | None = None
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    kernel_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None

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
                        constraint=self.kernel_constraint,
                        fans=found.fans)
        if found.bias is None:
            return (kernel,)
        check_bias_place(self, found.output, found.bias)
        return kernel, Weight("bias", found.bias, self.bias_initializer, regularizer=self.bias_regularizer,
                              constraint=self.bias_constraint)

    def flops(self, *shapes: Shape) -> int | None:
        products = self.shapes(*shapes).products
        return None if products is None else 2 * products


class Identity(Layer):
    """The input as it is."""

    mask_rule: ClassVar[MaskRule] = "pass"


LAYERS = (Dense, EinsumDense, Activation, Identity, Embedding, ReversibleEmbedding, Masking)
