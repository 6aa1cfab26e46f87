"""keras.activations: each name stands for itself as a layer's `activation=`, and is an operation on a tensor."""

from __future__ import annotations

from typing import Any

from harness.keras.refusals import namespace
from harness.spec.activations import ACTIVATIONS, ALIASES, parse_activation
from harness.spec.operations import declared
from harness.spec.operations.calling import function

# Keras's functions whose operation has another name.
_OPERATIONS = {"relu": "activations.relu", "exponential": "ops.exp", "tanh": "ops.tanh"}
# Defaults of the function that its operation has not.
_DEFAULTS: dict[str, dict[str, Any]] = {"gelu": {"approximate": False}}


class Activation:
    """An activation function by name; called on a symbolic tensor it is the operation that Keras makes of it."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, x: Any, *args: Any, **arguments: Any) -> Any:
        name = ALIASES.get(self.__name__, self.__name__)
        if name == "linear":
            return x
        if name == "mish":
            return x * _operation("tanh")(_operation("softplus")(x))
        defaults = {} if args else _DEFAULTS.get(name, {})
        return _operation(name)(x, *args, **{**defaults, **arguments})

    def __repr__(self) -> str:
        return f"<keras.activations.{self.__name__}>"


def _operation(name: str) -> Any:
    return function(declared(_OPERATIONS.get(name, f"ops.{name}")))


_FUNCTIONS = {name: Activation(name) for name in (*ACTIVATIONS, *ALIASES, "glu", "threshold")}


def get(identifier: Any) -> Activation:
    """The activation of that name; None is linear."""
    return _FUNCTIONS[parse_activation(identifier) or "linear"]


_KNOWN = ("deserialize", "serialize")

__getattr__, __dir__ = namespace("keras.activations", {**_FUNCTIONS, "get": get}, _KNOWN,
                                 hint=f"Use one of {', '.join(ACTIVATIONS)}.")
