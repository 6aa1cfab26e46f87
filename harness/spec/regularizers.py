"""Keras's weight regularizers as data (keras/src/regularizers/regularizers.py).

The penalty is added to the loss once per step: l1 * sum(|w|) + l2 * sum(w^2), without a factor 1/2.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.configured import Configured, Family


class Regularizer(Configured):
    """Base of all regularizers; `factors` gives (l1, l2)."""

    def factors(self) -> tuple[float, float]:
        raise SpecError(f"{type(self).__name__} is not a sum of an L1 and an L2 term.")


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


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Keras's function of the same name."""
    return L1L2(l1=l1, l2=l2)


REGULARIZERS: Family[Regularizer] = Family(
    "regularizer", (L1, L2, L1L2), aliases={"l1": L1, "l2": L2, "l1_l2": L1L2}
)


def _parse(value: Any) -> Regularizer | None:
    return None if value is None else REGULARIZERS.parse(value)


RegularizerArgument = Annotated[Regularizer | None, BeforeValidator(_parse)]
