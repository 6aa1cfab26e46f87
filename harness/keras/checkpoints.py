"""Saving: canonical weights as safetensors, the model's spec as YAML or JSON. Keras's own formats are refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError

if TYPE_CHECKING:
    from harness.keras.model import Model

_SPEC = (".yaml", ".yml", ".json")
_WEIGHTS = ".safetensors"


def save(model: Model, filepath: Any, overwrite: bool = True, **options: Any) -> None:
    """name.safetensors: the weights of TensorFlow's half. name.yaml, .json: the model's spec, without weights."""
    path = Path(filepath)
    if path.suffix in _SPEC:
        _may_write(path, overwrite)
        model.spec.save(path)
        return
    save_weights(model, path, overwrite)


def save_weights(model: Model, filepath: Any, overwrite: bool = True, framework: str | None = None) -> None:
    """Writes canonical weights that both frameworks, and `harness`, read."""
    from harness.keras.weights import canonical, half_of
    from harness.records.checkpoint import save_checkpoint

    path = _weights_path(filepath)
    _may_write(path, overwrite)
    save_checkpoint(path, canonical(model, half_of(framework)), {"model": model.spec.digest})


def load_weights(model: Model, filepath: Any, **options: Any) -> None:
    """Reads canonical weights into both halves. Raises SpecError for another model's."""
    from harness.keras.weights import draw_missing, halves, store
    from harness.records.checkpoint import load_checkpoint

    expected = {weight.name: weight.shape for weight in model.graph.spec.weights}
    found = load_checkpoint(_weights_path(filepath), expected)
    draw_missing(model)
    for half in halves():
        store(model, half, found.weights)


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
