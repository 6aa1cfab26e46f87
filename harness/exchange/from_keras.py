"""harness.from_keras: a Keras model, live or in a file, as a ModelSpec and its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import SpecError
from harness.exchange.keras_file import read_keras_file
from harness.exchange.keras_vocabularies import live_vocabularies
from harness.exchange.keras_weights import live_weights
from harness.spec.keras_config import KerasModel, read_keras_config
from harness.spec.model import ModelSpec


def from_keras(model: Any, weights: str | Path | None = None) -> tuple[ModelSpec, dict[str, np.ndarray] | None]:
    """(spec, weights) of a Keras model.

    model: a live keras.Model; a .keras, legacy .h5 or config .json file; or a config as a dict. weights: a
    .weights.h5 file, for a config without weights. The weights stand under canonical names ("dense/kernel"), in
    Keras's layout, bit by bit as Keras has them; None where a config comes without any. Files are read without
    running code (docs/keras-import.md). Raises SpecError, and UnsupportedModelError listing every part that cannot be
    carried over.
    """
    found, arrays = import_keras(model, weights)
    return found.spec, arrays


def import_keras(
    model: Any, weights: str | Path | None = None
) -> tuple[KerasModel, dict[str, np.ndarray] | None]:
    """As `from_keras`; the model comes with what its files call its layers."""
    if isinstance(model, (str, Path)):
        return read_keras_file(model, weights)
    if isinstance(model, Mapping):
        from harness.exchange.keras_file import read_weights_file

        found = read_keras_config(model)
        return (found, None) if weights is None else read_weights_file(weights, found)
    if not (hasattr(model, "to_json") and hasattr(model, "layers")):
        raise SpecError(f"from_keras takes a Keras model or the path of its file, got {type(model).__name__}.")
    where = f"model {getattr(model, 'name', '')!r}"
    try:
        config = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise SpecError(f"Keras cannot write the model's config: {error}.", where=where,
                        hint="A subclassed model has no graph; rebuild it as keras.Model(inputs, outputs).") from None
    _mark_shared(model, config)
    found = read_keras_config(config, where, live_vocabularies(model))
    return live_weights(model, found)


def _mark_shared(model: Any, config: Any) -> None:
    """Marks layers that several models hold, as Keras does in files, but not in `to_json`."""
    waiting = [(model, config)]
    while waiting:
        owner, item = waiting.pop()
        inner = item.get("config") if isinstance(item, dict) else None
        entries = inner.get("layers") if isinstance(inner, dict) else None
        if not isinstance(entries, list) or not hasattr(owner, "layers"):
            continue
        by_name = {layer.name: layer for layer in owner.layers}
        for entry in entries:
            name = entry.get("name", (entry.get("config") or {}).get("name"))
            layer = by_name.get(name)
            if layer is not None and entry.get("class_name") != "InputLayer":
                entry["shared_object_id"] = id(layer)
                waiting.append((layer, entry))
