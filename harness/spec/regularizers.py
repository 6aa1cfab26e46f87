"""Keras's weight regularizers as data (keras/src/regularizers/regularizers.py).

A weight's penalty is added to the loss once per step: l1 * sum(|w|) + l2 * sum(w^2), without a factor 1/2.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Configured, Family


class Regularizer(Configured):
    """Base of all regularizers; `factors` gives (l1, l2)."""

    def factors(self) -> tuple[float, float]:
        raise SpecError(f"{type(self).__name__} is not a sum of an L1 and an L2 term.")

    def check(self, shape: tuple[int | None, ...]) -> None:
        """Raises SpecError where a tensor of that shape cannot be regularized."""


class L1(Regularizer):
    """l1 * sum(|w|)."""

    l1: float = Field(default=0.01, ge=0)

    def factors(self) -> tuple[float, float]:
        return self.l1, 0.0


class L2(Regularizer):
    """l2 * sum(w^2)."""

    l2: float = Field(default=0.01, ge=0)

    def factors(self) -> tuple[float, float]:
        return 0.0, self.l2


class L1L2(Regularizer):
    """l1 * sum(|w|) + l2 * sum(w^2)."""

    l1: float = Field(default=0.0, ge=0)
    l2: float = Field(default=0.0, ge=0)

    def factors(self) -> tuple[float, float]:
        return self.l1, self.l2


class OrthogonalRegularizer(Regularizer):
    """factor times the mean of |cosine| over the pairs of different rows (or columns) of a matrix.

    Keras's own class fails on float64 tensors; there the factor is cast to the tensor's type, as in its L1 and L2.
    """

    factor: float = Field(default=0.01, ge=0)
    mode: Literal["rows", "columns"] = "rows"

    def check(self, shape: tuple[int | None, ...]) -> None:
        if len(shape) != 2:
            raise SpecError(f"OrthogonalRegularizer takes matrices, got a tensor of shape {shape}.")
        if shape[0 if self.mode == "rows" else 1] == 1:
            raise SpecError(f"OrthogonalRegularizer: a matrix of shape {shape} has no two {self.mode}: Keras would "
                            "divide by zero.", hint="Leave the regularizer out.")


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Keras's function of the same name."""
    return L1L2(l1=l1, l2=l2)


REGULARIZERS: Family[Regularizer] = Family(
    "regularizer", (L1, L2, L1L2, OrthogonalRegularizer), aliases={"l1_l2": L1L2}
)


def _parse(value: Any) -> Regularizer | None:
    return None if value is None else REGULARIZERS.parse(value)


RegularizerArgument = Annotated[Regularizer | None, BeforeValidator(_parse)]
