"""Stock Keras layers from spec layers: the same class name, the same argument names.

Spec layers carry Keras's own arguments, so that most layers need no code here: what a Keras user runs is
what is certified.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from harness.backends.tensorflow.activations import activation
from harness.backends.tensorflow.regularizers import constraint, regularizer
from harness.spec.configured import Configured
from harness.spec.constraints import Constraint
from harness.spec.initializers import Initializer
from harness.spec.layers.base import Layer
from harness.spec.regularizers import Regularizer

ACTIVATIONS = ("activation", "recurrent_activation")
NOT_KERAS = frozenset({"name", "trainable", "dtype", "input_shape"})


def arguments(layer: Layer) -> dict[str, Any]:
    """The constructor arguments of the Keras class of the same name."""
    fields = {key: getattr(layer, key) for key in type(layer).model_fields if key not in NOT_KERAS}
    if layer.activity_regularizer is None or not layer.regularizes_outputs | layer.regularizes_parts:
        del fields["activity_regularizer"]  # which not every class takes
    return {key: activation(value) if key in ACTIVATIONS else keras_value(value) for key, value in fields.items()}


def keras_value(value: Any) -> Any:
    """A Configured argument as Keras's own object; everything else as it is."""
    if isinstance(value, Initializer):
        return keras.initializers.get({"class_name": _class_name(value), "config": _all_fields(value)})
    if isinstance(value, Regularizer):
        return regularizer(value)
    if isinstance(value, Constraint):
        return constraint(value)
    return value


def _class_name(value: Configured) -> str:
    return {"Orthogonal": "Orthogonal", "Identity": "Identity"}.get(type(value).__name__, type(value).__name__)


def _all_fields(value: Configured) -> dict[str, Any]:
    return {key: getattr(value, key) for key in type(value).model_fields}


def stock(layer: Layer, **common: Any) -> keras.layers.Layer:
    """keras.layers.<the same name>(**the same arguments); common: name, dtype, trainable."""
    keras_class = getattr(keras.layers, type(layer).__name__)
    # SpatialDropout does not take `trainable` as an argument.
    trainable = common.pop("trainable", True)
    built = keras_class(**arguments(layer), **common)
    built.trainable = trainable
    return built


def numpy(value: Any) -> np.ndarray:
    """A Keras variable or tensor as an array."""
    return np.asarray(keras.ops.convert_to_numpy(value))
