"""Keras models in files: .keras archives, legacy .h5 files, config JSON, .weights.h5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import SpecError
from harness.exchange.keras_archive import LARGEST_CONFIG, kind_of, open_archive, parse_json
from harness.exchange.keras_hdf5 import item_at, open_hdf5
from harness.exchange.keras_vocabularies import ArchiveVocabularies
from harness.exchange.keras_weights import check_size, read_legacy_weights, read_weights
from harness.spec.keras_config import KerasModel, read_keras_config

REFUSED = {
    "pickle": ("this is a Python pickle, which runs code when it is opened.", "Save the model as .keras."),
    "npy": ("this is a NumPy array, not a model.", "Save the model as .keras."),
    "unknown": ("this is neither a .keras archive, nor HDF5, nor JSON.", "Save the model as .keras."),
}


def read_keras_file(
    path: str | Path, weights: str | Path | None = None
) -> tuple[KerasModel, dict[str, np.ndarray] | None]:
    """The model in a file and its weights, None for a config alone. weights: a .weights.h5 file to read them from.

    Raises SpecError for whatever is wrong with a file, and UnsupportedModelError for a model that cannot be carried
    over.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind in REFUSED:
        message, hint = REFUSED[kind]
        raise SpecError(message, where=str(path), hint=hint)
    model, arrays = {"zip": _from_archive, "hdf5": _from_legacy, "json": _from_json}[kind](path)
    return (model, arrays) if weights is None else read_weights_file(weights, model)


def read_weights_file(path: str | Path, model: KerasModel) -> tuple[KerasModel, dict[str, np.ndarray]]:
    """The model and the weights of a .weights.h5 file (Keras 3), or of a legacy one, for it. Raises SpecError."""
    path = Path(path)
    if kind_of(path) != "hdf5":
        raise SpecError("expected weights in an HDF5 file (.weights.h5).", where=str(path))
    check_size(model, path.stat().st_size, str(path))
    with open_hdf5(path, str(path)) as root:
        legacy = "layer_names" in root.attrs or "layer_names0" in root.attrs
        if legacy:
            return read_legacy_weights(root, model, str(path))
    return read_weights(path, model, str(path))


def _from_archive(path: Path) -> tuple[KerasModel, dict[str, np.ndarray]]:
    archive = open_archive(path)
    model = read_keras_config(archive.config, str(path), ArchiveVocabularies(archive))
    if archive.weights is None:
        raise SpecError("there is no model.weights.h5 in the archive.", where=str(path),
                        hint="Weights in another form (model.weights.npz, shards) are not read.")
    check_size(model, archive.weights.file_size, str(path))
    with archive.open_weights() as file:
        return read_weights(file, model, str(path))


def _from_legacy(path: Path) -> tuple[KerasModel, dict[str, np.ndarray]]:
    where = str(path)
    with open_hdf5(path, where) as root:
        text = root.attrs.get("model_config")
        if text is None:
            raise SpecError("the file holds weights without the model they belong to.", where=where,
                            hint="Save the whole model as .keras, or give its config: "
                            "harness.from_keras('model.json', weights='model.weights.h5').")
        data = text if isinstance(text, bytes) else str(text).encode()
        if len(data) > LARGEST_CONFIG:
            raise SpecError(f"the config has {len(data):,} bytes.", where=where)
        model = read_keras_config(parse_json(data, f"{where}: model_config"), where)
        check_size(model, path.stat().st_size, where)
        group = item_at(root, "model_weights", where)
        if group is None:
            raise SpecError("there are no weights in the file.", where=where)
        return read_legacy_weights(group, model, where)


def _from_json(path: Path) -> tuple[KerasModel, None]:
    if path.stat().st_size > LARGEST_CONFIG:
        raise SpecError(f"the file is larger than {LARGEST_CONFIG // 2**20} MiB; this is no config.", where=str(path))
    config: Any = parse_json(path.read_bytes(), str(path))
    return read_keras_config(config, str(path)), None
