"""keras.initializers: the initializers as data; the harness draws the numbers once, for both frameworks."""

from __future__ import annotations

from typing import Any

from harness.keras.refusals import namespace
from harness.spec.configured import snake_case
from harness.spec.initializers import INITIALIZERS, Initializer


def get(identifier: Any) -> Initializer | None:
    """An initializer from its name, its configuration, or itself."""
    return None if identifier is None else INITIALIZERS.parse(identifier)


_FUNCTIONS = {snake_case(name): cls for name, cls in INITIALIZERS.classes.items()}
_ALIASES = {f"{name}Initializer": INITIALIZERS.classes[name] for name in ("Orthogonal", "Identity", "STFT")}

__getattr__, __dir__ = namespace(
    "keras.initializers",
    {**INITIALIZERS.classes, **_FUNCTIONS, **_ALIASES, "Initializer": Initializer, "get": get},
    ("deserialize", "serialize"),
    hint=f"Use one of {', '.join(INITIALIZERS.classes)}.",
)
