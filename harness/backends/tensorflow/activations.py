"""The activations of layers as Keras's own functions."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras

from harness.spec.activations import LAYERS

# What the call of each of these layers is (keras/src/layers/activations).
FUNCTIONS = {
    "ReLU": keras.activations.relu, "LeakyReLU": keras.activations.leaky_relu, "ELU": keras.activations.elu,
}


def activation(value: Any) -> Any:
    """A name as it is; {layer: {arguments}} as the function that the layer calls, with its arguments.

    Not the layer itself: inside of another one it would compute in the global dtype and not in that layer's.
    """
    if not isinstance(value, Mapping):
        return value
    ((name, arguments),) = value.items()
    return functools.partial(FUNCTIONS[name], **{**LAYERS[name], **arguments})
