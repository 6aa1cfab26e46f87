"""keras.optimizers: the optimizers as data."""

from __future__ import annotations

from typing import Any

from harness.keras.optimizers import schedules
from harness.keras.refusals import namespace
from harness.spec.optimizers import OPTIMIZERS, Optimizer, loss_scaled


def get(identifier: Any) -> Optimizer:
    """An optimizer from its name, its configuration, or itself."""
    return OPTIMIZERS.parse(identifier)


_KNOWN = ("MultiOptimizer", "OptimizerMap", "legacy", "serialize")
_SUPPORTED = {
    **OPTIMIZERS.classes, "LossScaleOptimizer": loss_scaled, "Optimizer": Optimizer, "get": get, "deserialize": get,
    "schedules": schedules,
}
__getattr__, __dir__ = namespace(
    "keras.optimizers", _SUPPORTED, _KNOWN,
    hint=f"Use one of {', '.join(OPTIMIZERS.classes)}.", hints={"legacy": "Use keras.optimizers.Adam and its like."},
)
