"""Reads a config.json by a table: names of parameters, and values that the library's model must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError

# Hugging Face's names of activations -> Keras's. "gelu_tanh" is what models/gpt2.py calls the approximation.
ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu", "gelu_new": "gelu_tanh",
               "gelu_pytorch_tanh": "gelu_tanh", "tanh": "tanh"}


def parameters(
    config: Mapping[str, Any], names: Mapping[str, str], fixed: Mapping[str, Any], where: str = "config.json"
) -> dict[str, Any]:
    """names: key -> parameter, left out where the file does not say it. fixed: key -> the only value that the model
    can have. Raises SpecError listing every other value."""
    wrong = [f"{key} is {config[key]!r}, only {value!r} is supported" for key, value in fixed.items()
             if key in config and config[key] != value]
    if wrong:
        raise SpecError(f"the library's model cannot be as this file says: {'; '.join(wrong)}.", where=where)
    return {parameter: config[key] for key, parameter in names.items() if config.get(key) is not None}


def activation(config: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: str = "config.json") -> str:
    """Keras's name of an activation. Raises SpecError for one that the model does not have."""
    name = config.get(key, "gelu")
    found = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if found not in allowed:
        raise SpecError(f"{key} is {name!r}, which the library's model does not have.", where=where,
                        hint=f"It has {', '.join(allowed)}.")
    return found


def classes(config: Mapping[str, Any]) -> dict[str, int]:
    """num_classes, where the file names its labels (a file without them means 2)."""
    labels = config.get("id2label")
    if isinstance(labels, Mapping) and labels:
        return {"num_classes": len(labels)}
    return {"num_classes": int(config.get("num_labels") or 2)}
