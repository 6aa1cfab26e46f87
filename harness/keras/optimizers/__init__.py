"""keras.optimizers: the optimizers as data."""

from __future__ import annotations

from typing import Any

from harness.keras.optimizers import schedules
from harness.keras.refusals import namespace
from harness.spec.optimizers import OPTIMIZERS, Optimizer


def get(identifier: Any) -> Optimizer:
    """An optimizer from its name, its configuration, or itself."""
    return OPTIMIZERS.parse(identifier)


_KNOWN = ("LossScaleOptimizer", "MultiOptimizer", "OptimizerMap", "legacy", "deserialize", "serialize")

__getattr__, __dir__ = namespace(
    "keras.optimizers", {**OPTIMIZERS.classes, "Optimizer": Optimizer, "get": get, "schedules": schedules}, _KNOWN,
    hint=f"Use one of {', '.join(OPTIMIZERS.classes)}.", hints={"legacy": "Use keras.optimizers.Adam and its like."},
)
