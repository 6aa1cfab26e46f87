"""The names of Keras's activation functions (keras/src/activations/activations.py).

A spec holds the name alone; each backend has a table from the name to its function.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import snake_case

ACTIVATIONS: tuple[str, ...] = (
    "linear", "relu", "relu6", "elu", "selu", "celu", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softmax",
    "log_softmax", "softplus", "softsign", "silu", "hard_silu", "gelu", "leaky_relu", "mish", "exponential",
    "log_sigmoid", "squareplus", "tanh_shrink",
)
ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}

# Elementwise cost in FLOPs is counted as 1 per element for every activation: the convention of
# torch.utils.flop_counter and of the published tables is to count matrix products only, so activations
# count nothing in `flops`.


def parse_activation(value: Any) -> str | None:
    """The canonical name, or None for linear. Accepts a name, or an object with Keras's `__name__`."""
    if value is None:
        return None
    if isinstance(value, dict) and set(value) >= {"class_name", "config"}:
        value = value["config"] if isinstance(value["config"], str) else value["class_name"]
    if hasattr(value, "compute_output_shape"):
        raise SpecError(f"activation={type(value).__name__}(...) is a layer, and an activation is a name here.",
                        hint=f"Put layers.{type(value).__name__}(...) behind this layer, which means the same.")
    name = value if isinstance(value, str) else getattr(value, "__name__", value)
    name = snake_case(name) if isinstance(name, str) else name
    name = ALIASES.get(name, name) if isinstance(name, str) else name
    if callable(value) and name not in ACTIVATIONS:
        raise SpecError(f"an activation of your own ({name}) is code that only one framework could run.",
                        hint=f"Use one of {', '.join(ACTIVATIONS)}.")
    if name not in ACTIVATIONS:
        raise SpecError(f"unknown activation {value!r}.", hint=did_you_mean(value, ACTIVATIONS))
    return None if name == "linear" else str(name)


ActivationArgument = Annotated[str | None, BeforeValidator(parse_activation)]
