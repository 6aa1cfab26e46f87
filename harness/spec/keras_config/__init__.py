"""Keras's own config JSON <-> ModelSpec, as plain dicts and without Keras.

    reading.py     a whole model: functional, sequential, nested, shared, of Keras 3 and of Keras 2
    parts.py       its config taken apart
    definition.py  what it is taken apart into
    calls.py       its calls, made in the functional notation
    layers.py      one layer: its class in the vocabulary, its arguments
    lookups.py     the vocabularies that are not in it
    precision.py   its dtype policies
    values.py      what Keras serialises among the arguments: initializers, functions, dtype policies
    references.py  the tensors among the arguments of a call
    masks.py       which masks among them Keras put there by itself
    refusals.py    what cannot be carried over, all of it in one error
    writing.py     the way back
    order.py       the order in which Keras has a model's layers
"""

from __future__ import annotations

from harness.spec.keras_config.definition import StoredLayer
from harness.spec.keras_config.reading import KerasModel, read_keras_config
from harness.spec.keras_config.refusals import Unsupported, UnsupportedModelError
from harness.spec.keras_config.writing import model_to_keras_config

__all__ = [
    "KerasModel", "StoredLayer", "Unsupported", "UnsupportedModelError", "model_to_keras_config", "read_keras_config",
]
