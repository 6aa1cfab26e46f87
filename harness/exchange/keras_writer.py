"""Writes a ModelSpec and its weights as a .keras archive that stock Keras loads, without Keras."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import SpecError
from harness.exchange.keras_archive import CONFIG, METADATA, WEIGHTS
from harness.exchange.keras_layout import stored_frequencies, stored_weights
from harness.records.checkpoint import check_weights
from harness.spec.keras_config import KerasModel, StoredLayer, model_to_keras_config
from harness.spec.keras_config.order import check_order, layer_order
from harness.spec.model import ModelSpec
from harness.spec.operations.base import Operation

# The Keras whose format this is; Keras itself does not compare it with its own.
KERAS_VERSION = "3.15.1"
# The same model gives the same bytes.
DATE = (1980, 1, 1, 0, 0, 0)


def write_keras_file(spec: ModelSpec, weights: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Writes the model as a .keras file. weights: canonical name -> array.

    The layers' dtype is float64 where a weight is, so that no number is rounded, else Keras's default. Raises
    SpecError for weights of another model and for what Keras does not have.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise SpecError("a Keras model is written to a file ending in .keras.", where=str(path))
    check_weights(weights, {weight.name: weight.shape for weight in spec.weights})
    check_order(spec)
    dtype = "float64" if any(np.asarray(array).dtype == np.float64 for array in weights.values()) else None
    config = model_to_keras_config(spec, dtype)
    model = KerasModel(spec, _stored(spec))
    metadata = {"keras_version": KERAS_VERSION, "date_saved": "1980-01-01@00:00:00"}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
            for name, data in ((METADATA, metadata), (CONFIG, config)):
                archive.writestr(zipfile.ZipInfo(name, DATE), json.dumps(data))
            archive.writestr(zipfile.ZipInfo(WEIGHTS, DATE), _hdf5(model, weights))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _stored(spec: ModelSpec) -> StoredLayer:
    """The model as Keras will have it: flat, its layers in Keras's order."""
    inputs = {item.name for item in spec.inputs}
    children = tuple(
        StoredLayer("InputLayer", name, name) if name in inputs else
        StoredLayer(spec.layers[name].canonical_name(), name, name)
        for name in layer_order(spec) if name in inputs or not isinstance(spec.layers[name], Operation)
    )
    return StoredLayer("Functional", spec.name, None, children)


def _hdf5(model: KerasModel, weights: Mapping[str, np.ndarray]) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for item in stored_weights(model):
            for path in (item.paths[0], *item.doubles):
                _write(file, path, np.asarray(weights[item.weight.name]))
        for label, paths in stored_frequencies(model).items():
            layer: Any = model.spec.layers[label]
            lookup = getattr(layer, "lookup", layer)
            for path in paths:
                _write(file, path, np.asarray(lookup.weights_of_tokens(), np.float32))
    return buffer.getvalue()


def _write(file: Any, path: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fiub":
        raise SpecError(f"a weight of type {array.dtype} cannot be stored.", where=path)
    file.create_dataset(path, data=array)
