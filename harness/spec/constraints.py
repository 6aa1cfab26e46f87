"""Keras's weight constraints as data (keras/src/constraints/constraints.py).

A constraint replaces a weight by its projection right after every batch in which the optimizer saw a gradient of it
(keras/src/optimizers/base_optimizer.py: apply). Axes count in Keras's layout of the weight.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from harness.errors import SpecError
from harness.spec.configured import Configured, Family


class Constraint(Configured):
    """Base of all constraints."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises SpecError where a weight of that shape does not have the constraint's axes."""
        given = getattr(self, "axis", None)
        axes = given if isinstance(given, tuple) else () if given is None else (given,)
        rank = len(shape)
        if not all(-rank <= axis < rank for axis in axes) or len({axis % rank for axis in axes}) < len(axes):
            raise SpecError(f"{self!r}: a weight of shape {shape} does not have these axes, axis={given}.",
                            hint="Give axes of the weight in Keras's layout, each once; None means all of them.")


class MaxNorm(Constraint):
    """The norm along `axis` (all axes if None) is at most `max_value`."""

    max_value: float = 2.0
    axis: int | tuple[int, ...] | None = 0


class NonNeg(Constraint):
    """No element is negative."""


class UnitNorm(Constraint):
    """The norm along `axis` (all axes if None) is 1."""

    axis: int | tuple[int, ...] | None = 0


class MinMaxNorm(Constraint):
    """The norm along `axis` (all axes if None) moves towards [min_value, max_value], by `rate` of the way."""

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: int | tuple[int, ...] | None = 0


CONSTRAINTS: Family[Constraint] = Family("constraint", (MaxNorm, NonNeg, UnitNorm, MinMaxNorm))


def _parse(value: Any) -> Constraint | None:
    return None if value is None else CONSTRAINTS.parse(value)


ConstraintArgument = Annotated[Constraint | None, BeforeValidator(_parse)]
