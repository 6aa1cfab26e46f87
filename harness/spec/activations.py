"""Keras's activation functions (keras/src/activations/activations.py).

A spec holds the function's name alone, or {"LeakyReLU": {"negative_slope": 0.1}} where a layer with arguments stands
in for a function; each backend has a table from the names to its functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import as_meant, snake_case

ACTIVATIONS: tuple[str, ...] = (
    "linear", "relu", "relu6", "elu", "selu", "celu", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softmax",
    "log_softmax", "softplus", "softsign", "silu", "hard_silu", "gelu", "leaky_relu", "mish", "exponential",
    "log_sigmoid", "squareplus", "tanh_shrink", "soft_shrink", "hard_shrink", "sparse_plus", "sparse_sigmoid",
    "sparsemax",
)
ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}
# Layers that Keras takes for an activation, with the defaults of their arguments.
LAYERS: dict[str, dict[str, float | None]] = {
    "ReLU": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "LeakyReLU": {"negative_slope": 0.3},
    "ELU": {"alpha": 1.0},
}
# Functions of Keras that no layer can have for its activation there either, and why.
_UNUSABLE = {
    "glu": "it halves an axis, which the shapes of Keras's layers do not account for",
    "threshold": "Keras calls an activation without the arguments that this one needs",
}
# What a serialized layer names besides its own arguments.
_OF_ANY_LAYER = ("name", "trainable", "dtype")

# Elementwise cost in FLOPs is counted as 1 per element for every activation: the convention of
# torch.utils.flop_counter and of the published tables is to count matrix products only, so activations
# count nothing in `flops`.


def parse_activation(value: Any) -> Any:
    """The canonical name, {layer: {arguments}}, or None for linear.

    Accepts a name, what Keras serializes, an object with Keras's `__name__`, or one of LAYERS (class or object).
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _from_mapping(value)
    kind = value if isinstance(value, type) else type(value)
    if kind.__name__ in (*LAYERS, "Softmax") and hasattr(kind, "compute_output_shape"):
        given = {} if isinstance(value, type) else value.config()
        return _layer(kind.__name__, {key: item for key, item in given.items() if key not in _OF_ANY_LAYER})
    if hasattr(value, "compute_output_shape"):
        raise SpecError(f"activation={kind.__name__}(...) is a layer, and an activation is a function here.",
                        hint=f"Put layers.{kind.__name__}(...) behind this layer, which means the same.")
    name = value if isinstance(value, str) else getattr(value, "__name__", value)
    name = snake_case(name) if isinstance(name, str) else name
    name = ALIASES.get(name, name) if isinstance(name, str) else name
    if isinstance(name, str) and name in _UNUSABLE:
        raise SpecError(f"{name!r} cannot be an activation: {_UNUSABLE[name]}.",
                        hint=f"Use keras.ops.{name} on the layer's output.")
    if callable(value) and name not in ACTIVATIONS:
        raise SpecError(f"an activation of your own ({name}) is code that only one framework could run.",
                        hint=f"Use one of {', '.join(ACTIVATIONS)}.")
    if name not in ACTIVATIONS:
        raise SpecError(f"unknown activation {value!r}.", hint=did_you_mean(value, ACTIVATIONS))
    return None if name == "linear" else str(name)


def _from_mapping(value: Mapping[Any, Any]) -> Any:
    """Reads {Name: {arguments}} and {"class_name": ..., "config": ...} of a function or a layer."""
    if "class_name" in value:
        name, config = value["class_name"], value.get("config")
        if isinstance(config, str) or not isinstance(config, Mapping):
            return parse_activation(config if isinstance(config, str) else name)
        if name == "Activation":
            return parse_activation(config.get("activation"))
        return _layer(str(name), {key: item for key, item in config.items() if key not in _OF_ANY_LAYER})
    if len(value) == 1:
        ((name, arguments),) = value.items()
        return _layer(str(name), arguments or {})
    raise SpecError(f"cannot read {value!r} as an activation.", hint="Write its name, 'relu' say.")


def _layer(name: str, given: Mapping[str, Any]) -> Any:
    """A layer of LAYERS as an activation; by its function's name where the arguments are those of the function."""
    if name == "Softmax" and given.get("axis", -1) in (-1, [-1], (-1,)):
        return "softmax"
    if name not in LAYERS:
        raise SpecError(f"activation={name}(...) is a layer, and an activation is a function here.",
                        hint=f"Put layers.{name}(...) behind this layer, which means the same.")
    defaults = LAYERS[name]
    for key in given:
        if key not in defaults:
            raise SpecError(f"{name} has no argument {key!r}.", hint=did_you_mean(key, defaults))
    arguments = {key: as_meant(given.get(key, default)) for key, default in defaults.items()}
    for key, item in arguments.items():
        number = isinstance(item, (int, float)) and not isinstance(item, bool)
        if not number and not (item is None and key == "max_value"):
            raise SpecError(f"the argument {key!r} of {name} is a number, got {item!r}.")
    if arguments == defaults and name != "LeakyReLU":
        return name.lower()
    if arguments == {"negative_slope": 0.2}:
        return "leaky_relu"
    return {name: {key: item for key, item in arguments.items() if item != defaults[key]}}


# str, {layer: {arguments}} or None; Any, because layers hand it on to functions that are typed for names.
ActivationArgument = Annotated[Any, BeforeValidator(parse_activation)]
