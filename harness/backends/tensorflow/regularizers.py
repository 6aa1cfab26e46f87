"""Regularizers and constraints of Keras from those of a spec."""

from __future__ import annotations

from typing import Any

import keras

from harness.spec.configured import Configured
from harness.spec.constraints import Constraint
from harness.spec.regularizers import OrthogonalRegularizer, Regularizer


def regularizer(item: Regularizer) -> Any:
    """The keras.regularizers object."""
    built = getattr(keras.regularizers, type(item).__name__)(**_fields(item))
    if isinstance(item, OrthogonalRegularizer):
        # Keras keeps it as a float32 tensor, which TensorFlow does not multiply by float64 weights.
        built.factor = float(built.factor)
    return built


def constraint(item: Constraint) -> Any:
    """The keras.constraints object."""
    return getattr(keras.constraints, type(item).__name__)(**_fields(item))


def _fields(item: Configured) -> dict[str, Any]:
    return {key: getattr(item, key) for key in type(item).model_fields}
