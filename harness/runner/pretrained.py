"""What a recipe's `weights` and an experiment's `model: hf:...` stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np

PREFIX = "hf:"


def is_pretrained(source: object) -> bool:
    """Whether a text names what another program saved ("hf:...")."""
    return isinstance(source, str) and source.startswith(PREFIX)


def first_weights(spec: ModelSpec, recipe: Recipe, seed: int, folder: Path | None) -> dict[str, np.ndarray] | None:
    """The weights that the recipe starts from, those of its `new` layers drawn from the seed; None where it names none.

    spec: the model before its first phase. folder: where relative paths start. Raises SpecError listing every weight
    that is missing, unknown or wrongly shaped.
    """
    if recipe.weights is None:
        return None
    from harness.plan.initial import draw

    try:
        found = named_weights(recipe.weights, spec, recipe.new, folder)
    except SpecError as error:
        raise error.at("weights") from None
    drawn = {weight.name: draw(weight, seed) for weight in spec.weights if weight.layer in recipe.new}
    return {weight.name: drawn[weight.name] if weight.name in drawn else found[weight.name] for weight in spec.weights}


def named_weights(
    source: str, spec: ModelSpec, new: tuple[str, ...] = (), folder: Path | None = None,
) -> Mapping[str, np.ndarray]:
    """The weights of a model by what a recipe's `weights` takes, those of `new` layers left out. Raises SpecError."""
    if is_pretrained(source):
        from harness.exchange.pretrained.loading import load_pretrained

        return load_pretrained(source, spec, new=new, base=folder).weights
    from harness.records.checkpoint import check_weights

    found = _own_format(_path(source, folder))
    expected = {weight.name: weight.shape for weight in spec.weights if weight.layer not in new}
    of_new = {weight.name for weight in spec.weights if weight.layer in new}
    check_weights({name: array for name, array in found.items() if name not in of_new}, expected, where=source)
    return found


def _own_format(path: Path) -> Mapping[str, np.ndarray]:
    """Canonical weights of a checkpoint, or of a Keras file whose layers have the model's names."""
    if path.suffix == ".safetensors":
        from harness.records.checkpoint import load_checkpoint

        return load_checkpoint(path).weights
    from harness.exchange.from_keras import from_keras

    weights = from_keras(path)[1]
    if weights is None:
        raise SpecError("the file holds a config alone, no weights.", where=str(path))
    return weights


def _path(source: str, folder: Path | None) -> Path:
    path = Path(source).expanduser()
    return path if path.is_absolute() or folder is None else folder / path


def weights_digest(recipe: Recipe, folder: Path | None) -> str | None:
    """sha256 of the files that the recipe's weights are read from, "missing" where they are not there."""
    if recipe.weights is None:
        return None
    import hashlib

    if is_pretrained(recipe.weights):
        from harness.exchange.pretrained.files import digest

        try:
            return digest(recipe.weights, folder)
        except SpecError:
            return "missing"
    path = _path(recipe.weights, folder)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def check_source(recipe: Recipe, folder: Path | None) -> None:
    """Raises SpecError where the files of the recipe's weights are not there, or are none to be read."""
    if recipe.weights is None:
        return
    try:
        if is_pretrained(recipe.weights):
            from harness.exchange.pretrained.files import locate, weight_files

            weight_files(locate(recipe.weights, folder), recipe.weights)
        elif not _path(recipe.weights, folder).is_file():
            raise SpecError("there is no such file.", where=str(_path(recipe.weights, folder)),
                            hint="A folder that another program wrote is named hf:FOLDER.")
    except SpecError as error:
        raise error.at("recipe.weights") from None


def model_of(source: str, parameters: Mapping[str, Any], folder: Path | None) -> tuple[str, dict[str, Any]]:
    """(a name in the library, its parameters) of `model: hf:...`."""
    from harness.exchange.pretrained.models import model_parameters

    return model_parameters(source, folder, parameters)
