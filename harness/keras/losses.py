"""keras.losses: the losses as data. The functions stand for their classes, as `compile(loss=...)` takes them."""

from __future__ import annotations

from typing import Any

from harness.keras.refusals import namespace
from harness.spec.configured import snake_case
from harness.spec.losses import LOSSES, Loss


def get(identifier: Any) -> Loss:
    """A loss from its name, its configuration, or itself."""
    return LOSSES.parse(identifier)


_FUNCTIONS = {snake_case(name): cls for name, cls in LOSSES.classes.items()}
_FUNCTIONS |= {name: LOSSES.find(name) for name in (
    "kl_divergence", "mse", "mae", "MSE", "MAE", "mape", "MAPE", "msle", "MSLE",
)}
_KNOWN = ("serialize",)

__getattr__, __dir__ = namespace(
    "keras.losses", {**LOSSES.classes, **_FUNCTIONS, "Loss": Loss, "get": get, "deserialize": get}, _KNOWN,
    hint=f"Use one of {', '.join(LOSSES.classes)}.",
)
