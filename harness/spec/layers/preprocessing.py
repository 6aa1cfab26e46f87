"""Preprocessing layers (keras/src/layers/preprocessing)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.errors import SpecError
from harness.spec.layers.base import Layer, MaskRule, Shape, known, normalize_axis, require_rank


class Rescaling(Layer):
    """x * scale + offset; both may be a number or one number per channel."""

    mask_rule: ClassVar[MaskRule] = "pass"

    scale: float | tuple[float, ...]
    offset: float | tuple[float, ...] = 0.0

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            last: Any = shapes[0][-1]
            if isinstance(value, tuple) and last not in (None, len(value)) and 1 not in (len(value),):
                raise SpecError(f"Rescaling: {name} has {len(value)} numbers for inputs of shape {shapes[0]}.")
        return shapes[0]


def _numbers(value: Any) -> Any:
    """A number, or nested tuples of numbers, from lists and arrays."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(_numbers(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SpecError(f"expected a number, or lists of numbers, got {value!r}.")
    return float(value)


def size_of(numbers: Any) -> tuple[int, ...]:
    """The shape of nested tuples: () for a number. Raises SpecError if they are ragged."""
    if not isinstance(numbers, tuple):
        return ()
    inner = {size_of(item) for item in numbers}
    if len(inner) != 1:
        raise SpecError(f"expected lists of equal lengths, got {numbers!r}.")
    return (len(numbers), *inner.pop())


class Normalization(Layer):
    """(x - mean) / sqrt(variance), or with invert x * sqrt(variance) + mean; both are given, not learned.

    axis: the dimensions along which mean and variance differ (None: none), which they have from the right.
    """

    mask_rule: ClassVar[MaskRule] = "pass"

    axis: int | tuple[int, ...] | None = -1
    mean: Annotated[Any, BeforeValidator(_numbers)]
    variance: Annotated[Any, BeforeValidator(_numbers)]
    invert: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = set(kwargs) | set(("axis", "mean", "variance")[: len(args)])
        if not {"mean", "variance"} <= given or None in (kwargs.get("mean", 0), kwargs.get("variance", 0)):
            raise SpecError("Normalization needs mean and variance: adapt() would make them of the data.",
                            where="Normalization", hint="Give both, or let the data be standardised before it is fed.")
        super().__init__(*args, **kwargs)

    @model_validator(mode="after")
    def _check(self) -> Normalization:
        sizes = size_of(self.mean), size_of(self.variance)
        if sizes[0] != sizes[1]:
            raise SpecError(f"mean and variance must have the same shape, got {sizes[0]} and {sizes[1]}.")
        if len(sizes[0]) > len(self._axes()):
            raise SpecError(f"mean has {len(sizes[0])} dimensions, more than axis={self.axis}.")
        return self

    def _axes(self) -> tuple[int, ...]:
        if self.axis is None:
            return ()
        return (self.axis,) if isinstance(self.axis, int) else self.axis

    def broadcast_shape(self, shape: Shape) -> tuple[int, ...]:
        """The shape of mean and variance next to an input. Raises SpecError if they do not fit."""
        kept = sorted(normalize_axis(axis, len(shape), self) for axis in self._axes())
        full = [1] * len(shape)
        for axis, size in zip(reversed(kept), reversed(size_of(self.mean)), strict=False):
            if size not in (1, known(shape[axis], self, f"dimension {axis}")):
                raise SpecError(f"Normalization: mean has {size} numbers for dimension {axis} of inputs of {shape}.")
            full[axis] = size
        for axis in kept:
            known(shape[axis], self, f"dimension {axis}")
        return tuple(full)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        self.broadcast_shape(shapes[0])
        return shapes[0]


class CategoryEncoding(Layer):
    """Whole numbers 0..num_tokens - 1 as vectors of num_tokens numbers: "one_hot" one vector each, "multi_hot" which
    of them stand in a row, "count" how often."""

    num_tokens: int = Field(gt=0)
    output_mode: Literal["multi_hot", "one_hot", "count"] = "multi_hot"
    sparse: Literal[False] = False

    @field_validator("output_mode", mode="before")
    @classmethod
    def _old_name(cls, value: Any) -> Any:
        return "multi_hot" if value == "binary" else value

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if self.output_mode != "one_hot":
            require_rank(self, shape, 2, "(batch, tokens)")
            return (shape[0], self.num_tokens)
        return (*(shape[:-1] if shape[-1] == 1 and len(shape) > 1 else shape), self.num_tokens)


LAYERS = (Rescaling, Normalization, CategoryEncoding)
