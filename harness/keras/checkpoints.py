"""Saving: whole models as .keras, canonical weights as safetensors, the model's spec as YAML or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError

if TYPE_CHECKING:
    import numpy as np

    from harness.keras.model import Model

_SPEC = (".yaml", ".yml", ".json")
_WEIGHTS = ".safetensors"
_KERAS_WEIGHTS = (".h5", ".hdf5")


def save(model: Model, filepath: Any, overwrite: bool = True, **options: Any) -> None:
    """name.keras: the model with the weights of TensorFlow's half, which Keras loads too. name.safetensors: these
    weights alone. name.yaml, .json: the model's spec, without weights."""
    path = Path(filepath)
    if path.suffix == ".keras":
        from harness.exchange.keras_writer import write_keras_file
        from harness.keras.state import STATE
        from harness.keras.weights import canonical, half_of

        _may_write(path, overwrite)
        # First weights are drawn in float64; the file has the precision that they are trained in.
        weights = {name: array.astype(STATE.precision) if array.dtype.kind == "f" else array
                   for name, array in canonical(model, half_of(None)).items()}
        write_keras_file(model.spec, weights, path)
        return
    if path.suffix in _SPEC:
        _may_write(path, overwrite)
        model.spec.save(path)
        return
    save_weights(model, path, overwrite)


def to_json(model: Model, **options: Any) -> str:
    """The model's config as Keras writes it, without weights; `keras.models.model_from_json` reads it in Keras too."""
    import json

    from harness.spec.keras_config import model_to_keras_config

    return json.dumps(model_to_keras_config(model.spec), **options)


def save_weights(model: Model, filepath: Any, overwrite: bool = True, framework: str | None = None) -> None:
    """Writes canonical weights that both frameworks, and `harness`, read."""
    from harness.keras.weights import canonical, half_of
    from harness.records.checkpoint import save_checkpoint

    path = _weights_path(filepath)
    _may_write(path, overwrite)
    save_checkpoint(path, canonical(model, half_of(framework)), {"model": model.spec.digest})


def load_weights(model: Model, filepath: Any, **options: Any) -> None:
    """Reads weights into both halves: .safetensors, or what Keras saved of the same model (.weights.h5, .keras).
    Raises SpecError for another model's."""
    from harness.keras.weights import draw_missing, halves, store

    found = _weights_in(model, Path(filepath))
    draw_missing(model)
    for half in halves():
        store(model, half, found)


def _weights_in(model: Model, path: Path) -> dict[str, np.ndarray]:
    from harness.records.checkpoint import check_weights, load_checkpoint

    spec = model.graph.spec
    expected = {weight.name: weight.shape for weight in spec.weights}
    if path.suffix == ".keras":
        from harness.exchange.from_keras import from_keras

        arrays = from_keras(path)[1] or {}
        check_weights(arrays, expected, str(path))
        return arrays
    if path.suffix in _KERAS_WEIGHTS:
        from harness.exchange.keras_file import read_weights_file
        from harness.spec.keras_config import model_to_keras_config, read_keras_config

        return read_weights_file(path, read_keras_config(model_to_keras_config(spec)))[1]
    return load_checkpoint(_weights_path(path), expected).weights


def _weights_path(filepath: Any) -> Path:
    path = Path(filepath)
    if path.suffix != _WEIGHTS:
        raise SpecError(
            f"{path.name}: {path.suffix or 'a file without ending'} is not written or read here.", where="model.save",
            hint=f"Use {path.stem.removesuffix('.weights')}.safetensors for the weights; name.yaml holds the model "
            "without them.",
        )
    return path


def _may_write(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise SpecError("the file exists already.", where=str(path), hint="Write overwrite=True.")
    if not path.parent.is_dir():
        raise SpecError("there is no such folder.", where=str(path.parent))
