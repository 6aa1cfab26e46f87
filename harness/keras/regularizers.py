"""keras.regularizers: the regularizers of weights and of activity as data."""

from __future__ import annotations

from typing import Any

from harness.keras.refusals import namespace
from harness.spec.regularizers import REGULARIZERS, Regularizer, l1_l2


def get(identifier: Any) -> Regularizer | None:
    """A regularizer from its name, its configuration, or itself."""
    return None if identifier is None else REGULARIZERS.parse(identifier)


_FUNCTIONS = {"l1": REGULARIZERS.classes["L1"], "l2": REGULARIZERS.classes["L2"], "l1_l2": l1_l2,
              "orthogonal_regularizer": REGULARIZERS.classes["OrthogonalRegularizer"]}

__getattr__, __dir__ = namespace(
    "keras.regularizers", {**REGULARIZERS.classes, **_FUNCTIONS, "Regularizer": Regularizer, "get": get},
    ("deserialize", "serialize"), hint=f"Use one of {', '.join(REGULARIZERS.classes)}.",
)
