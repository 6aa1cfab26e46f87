"""What every layer states: its arguments, its weights, its output shape, its cost.

Shapes are tuples with the batch dimension first, as Keras writes them: (None, 28, 28, 1).
"""

# Not with `from __future__ import annotations` (harness/spec/configured.py says why).

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from harness.errors import SpecError
from harness.spec.configured import Configured
from harness.spec.constraints import Constraint
from harness.spec.initializers import Initializer
from harness.spec.products import Products, make_product, total
from harness.spec.regularizers import Regularizer, RegularizerArgument

Shape = tuple[int | None, ...]

# drop: the output carries no mask. pass: the (first) input's mask goes on. own: the layer decides by itself
# and reads masks (`compute_mask` of Keras); the backends' module then takes and returns a mask.
MaskRule = Literal["drop", "pass", "own"]


@dataclass(frozen=True)
class Weight:
    """One variable of a layer: role ("kernel"), shape in Keras's layout, first values, and how it is used.

    trainable: False for state such as moving averages, which no optimizer touches.
    constraint: what the weight is projected to after every update.
    fans: (fan_in, fan_out) where Keras does not take them from the shape (attention's einsum kernels).
    """

    role: str
    shape: tuple[int, ...]
    initializer: Initializer
    trainable: bool = True
    regularizer: Regularizer | None = None
    fans: tuple[float, float] | None = None
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        if self.regularizer is not None:
            self.regularizer.check(self.shape)
        if self.constraint is not None:
            self.constraint.check(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Layer(Configured):
    """Base of all layers. `layer(tensor)` records a call in Keras's functional notation."""

    keyword_only: ClassVar[frozenset[str]] = frozenset(
        {"name", "trainable", "dtype", "input_shape", "activity_regularizer"}
    )
    ignored: ClassVar[frozenset[str]] = frozenset({"autocast"})
    mask_rule: ClassVar[MaskRule] = "drop"
    # The names of the tensors of a call, in order, where they have one (query, value, key of attention).
    call_arguments: ClassVar[tuple[str, ...]] = ()
    # The argument before which Keras's signature holds activity_regularizer, if the layer has that argument.
    activity_regularizer_before: ClassVar[tuple[str, ...]] = ("kernel_constraint", "depthwise_constraint")

    # What activity_regularizer acts on: the layer's outputs, as a rule, or what parts of the layer put out.
    regularizes_outputs: ClassVar[bool] = True
    regularizes_parts: ClassVar[bool] = False

    name: str | None = Field(default=None, exclude=True)
    trainable: bool = True
    dtype: str | None = None
    input_shape: tuple[int | None, ...] | None = Field(default=None, exclude=True)
    activity_regularizer: RegularizerArgument = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Keras's older spellings of the shape on a first layer.
        if "input_dim" in kwargs and "input_dim" not in type(self).model_fields:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        if "batch_input_shape" in kwargs:
            kwargs["input_shape"] = tuple(kwargs.pop("batch_input_shape"))[1:]
        if isinstance(kwargs.get("input_shape"), int):
            kwargs["input_shape"] = (kwargs["input_shape"],)
        super().__init__(*args, **kwargs)

    @classmethod
    def positional(cls) -> list[str]:
        names = super().positional()
        places = [names.index(name) for name in cls.activity_regularizer_before if name in names]
        if places:
            names.insert(places[0], "activity_regularizer")
        return names

    # Two layers with equal arguments are still two layers: identity is what makes a layer shared.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        if name is not None and (not name or any(mark in name for mark in ":@ \t\n") or name.startswith("/")):
            raise SpecError(f"a layer's name may not be empty or hold ':', '@' or spaces, got {name!r}.")
        return name

    @property
    def stochastic(self) -> bool:
        """True if training draws random numbers in this layer."""
        return False

    @property
    def activity_penalties(self) -> tuple[Regularizer, ...]:
        """The regularizers of the outputs: of each call, each output and each regularizer, its value divided by the
        batch size is added to the loss, in training and in evaluation (keras/src/layers/layer.py: __call__)."""
        regularizer = self.activity_regularizer if self.regularizes_outputs else None
        return () if regularizer is None else (regularizer,)

    @property
    def regularizes_activity(self) -> bool:
        """Whether a call of this layer adds something to the loss."""
        return bool(self.activity_penalties) or (self.regularizes_parts and self.activity_regularizer is not None)

    def compute_output_shape(self, *shapes: Shape) -> Shape | tuple[Shape, ...]:
        """Output shape(s) for the given input shapes. Raises SpecError where they do not fit."""
        return shapes[0]

    def call_shape(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Shape | tuple[Shape, ...]:
        """Output shape(s) of a call with these further arguments, which may decide on them (operations)."""
        return self.compute_output_shape(*shapes)

    def call_mask_rule(self, arguments: Mapping[str, Any]) -> MaskRule:
        """The mask rule of a call with these further arguments."""
        return self.mask_rule

    @property
    def ends_masks(self) -> bool:
        """Whether a layer that reads masks hands none on."""
        return False

    def check_masks(
        self, shapes: tuple[Shape, ...], masks: tuple[Shape | None, ...], arguments: Mapping[str, Any]
    ) -> None:
        """Raises SpecError where Keras's layer breaks off on masks of these shapes on its inputs (None: no mask)."""

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        """The weights, in Keras's order, for the given input shapes."""
        return ()

    def flops(self, *shapes: Shape) -> int | None:
        """Floating-point operations of the forward pass for one example: 2 per multiply-add of a matrix
        product or convolution, nothing for elementwise work; None where a dimension is unknown."""
        return total(self.products(shapes, {}))

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        """The matrix products and convolutions of a call, for one example. A layer with one of them, of its inputs
        with its weights, states its `flops` instead."""
        if type(self).flops is Layer.flops:
            return ()
        count = self.flops(*shapes)
        if not count:
            return None if count is None else ()
        return (make_product(count, range(len(shapes)), (weight.role for weight in self.weights(*shapes))),)

    def call_products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        """The same of a call on as many examples as the shapes say (1 where the batch is open)."""
        found = self.products(shapes, arguments)
        batch = shapes[0][0] if shapes and shapes[0] else None
        return found if found is None or batch is None else tuple(item.times(batch) for item in found)

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of a call (beside its tensors) that the layer does not have."""
        for name in arguments:
            raise SpecError(f"a call of {type(self).__name__} has no argument {name!r} here.",
                            hint="A mask that a layer made reaches the next ones by itself; a mask of your own goes in "
                                 "with Masking or mask_zero." if name == "mask" else "Leave it out.")

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        from harness.spec.notation import call_layer

        return call_layer(self, inputs, arguments)


def require_rank(layer: Layer, shape: Shape, rank: int, meaning: str) -> None:
    """Raises SpecError unless the shape has `rank` dimensions, batch included."""
    if len(shape) != rank:
        raise SpecError(
            f"{type(layer).__name__} expects inputs of shape {meaning}, got {shape} with {len(shape)} dimensions."
        )


def known(value: int | None, layer: Layer, what: str) -> int:
    """The dimension, or a SpecError if it is not known before training."""
    if value is None:
        raise SpecError(f"{type(layer).__name__} needs to know {what} of its input; give it in the Input's shape.")
    return value


def product(values: Shape) -> int | None:
    """The product of the dimensions, None if one is unknown."""
    return None if any(value is None for value in values) else math.prod(v for v in values if v is not None)


def normalize_axis(axis: int, rank: int, layer: Layer) -> int:
    """A non-negative axis. Raises SpecError beyond the rank."""
    if not -rank <= axis < rank:
        raise SpecError(f"{type(layer).__name__}: axis {axis} does not exist in an input of {rank} dimensions.")
    return axis % rank


def check_bias_place(layer: Layer, output: Shape, bias: tuple[int, ...]) -> None:
    """Raises SpecError where Keras adds a bias of several dimensions along a wrong axis of the output.

    Its TensorFlow backend takes a bias with one dimension above 1 for one of the last axis, or else of axis 1, if
    that axis has the same size (backend/tensorflow/numpy.py: add), wherever the bias belongs.
    """
    large = [place for place, size in enumerate(bias) if size > 1]
    if len(bias) < 2 or len(large) != 1 or bias[large[0]] not in (output[1], output[-1]):
        return
    wanted = len(output) - len(bias) + large[0]
    taken = len(output) - 1 if output[-1] == bias[large[0]] else 1
    if wanted != taken:
        raise SpecError(
            f"{type(layer).__name__}: Keras adds a bias of shape {bias} to {output} along axis {taken} instead of "
            f"{wanted}, a mistake of its TensorFlow backend.",
            hint="Change one of the sizes that are equal by chance, or give use_bias=False (or no bias_axes).")
