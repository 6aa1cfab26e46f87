"""keras.backend: what scripts call between models."""

from __future__ import annotations

from typing import Any

from harness.keras.config import backend, epsilon, floatx, image_data_format, set_floatx
from harness.keras.refusals import refuse

__all__ = ["backend", "clear_session", "epsilon", "floatx", "image_data_format", "set_floatx"]


def clear_session(free_memory: bool = True) -> None:
    """Nothing to clear: each model's names are its own, and no framework lives in this process."""


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    return refuse("keras.backend", name, "Use layers, and NumPy for data.")
