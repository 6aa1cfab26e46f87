"""keras.constraints: the weight constraints as data."""

from __future__ import annotations

from typing import Any

from harness.keras.refusals import namespace
from harness.spec.configured import snake_case
from harness.spec.constraints import CONSTRAINTS, Constraint


def get(identifier: Any) -> Constraint | None:
    """A constraint from its name, its configuration, or itself."""
    return None if identifier is None else CONSTRAINTS.parse(identifier)


_FUNCTIONS = {snake_case(name): cls for name, cls in CONSTRAINTS.classes.items()}

__getattr__, __dir__ = namespace(
    "keras.constraints", {**CONSTRAINTS.classes, **_FUNCTIONS, "Constraint": Constraint, "get": get},
    ("deserialize", "serialize"), hint=f"Use one of {', '.join(CONSTRAINTS.classes)}.",
)
