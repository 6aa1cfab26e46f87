"""keras.activations: each name stands for itself as a layer's `activation=`, and applies itself to a tensor."""

from __future__ import annotations

from typing import Any

from harness.keras import layers
from harness.keras.refusals import namespace
from harness.spec.activations import ACTIVATIONS, ALIASES, parse_activation


class Activation:
    """An activation function by name; called on a symbolic tensor it is keras.layers.Activation."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, x: Any, **arguments: Any) -> Any:
        if arguments:
            return layers.refuse_arguments(f"keras.activations.{self.__name__}", arguments)
        layer = layers.Activation(self.__name__)
        layer.is_operation = True
        return layer(x)

    def __repr__(self) -> str:
        return f"<keras.activations.{self.__name__}>"


_FUNCTIONS = {name: Activation(name) for name in (*ACTIVATIONS, *ALIASES)}


def get(identifier: Any) -> Activation:
    """The activation of that name; None is linear."""
    return _FUNCTIONS[parse_activation(identifier) or "linear"]


_KNOWN = ("glu", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax", "threshold",
          "deserialize", "serialize")

__getattr__, __dir__ = namespace("keras.activations", {**_FUNCTIONS, "get": get}, _KNOWN,
                                 hint=f"Use one of {', '.join(ACTIVATIONS)}.")
