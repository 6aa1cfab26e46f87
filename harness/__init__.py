"""harness: one model spec, trained identically in TensorFlow/Keras and PyTorch, and compared.

Everything here is loaded on first use: importing harness imports no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that owns it.
_OWNERS = {
    "Input": "harness.spec.notation",
    "Model": "harness.spec.notation",
    "Sequential": "harness.spec.notation",
    "ModelSpec": "harness.spec.model",
    "SpecError": "harness.errors",
    "HarnessError": "harness.errors",
}
_MODULES = {"layers": "harness.spec.layers"}

__all__ = [*_OWNERS, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _OWNERS:
        return getattr(importlib.import_module(_OWNERS[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from harness.errors import HarnessError, SpecError
    from harness.spec import layers
    from harness.spec.model import ModelSpec
    from harness.spec.notation import Input, Model, Sequential
