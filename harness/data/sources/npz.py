"""NumPy archives: a user's own `.npz`, and the ones that harness.data.save writes."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.files import find
from harness.data.vocabularies import Vocabulary
from harness.errors import DataError, did_you_mean
from harness.spec import sources as spec

_SPLIT_ENDINGS = {"validation": ("_validation", "_val", "_valid"), "test": ("_test",)}
_PARTS = ("train", "validation", "test")


def read(source: spec.Source, base: Path | None, sample_weight: str | None = None) -> Raw:
    """The arrays as they are in the file; a split that the file brings is kept."""
    assert isinstance(source, (spec.Npz, spec.Arrays))
    path = find(source.path, base, source.canonical_name())
    arrays = _open(path)
    return (
        _named(path, arrays, source, sample_weight) if isinstance(source, spec.Npz) else _saved(path, arrays)
    )


def identity(source: spec.Source, base: Path | None) -> dict[str, Any]:
    assert isinstance(source, (spec.Npz, spec.Arrays))
    return {"files": [file_hash(find(source.path, base, source.canonical_name()))]}


def _open(path: Path) -> dict[str, np.ndarray]:
    hint = "Save it with numpy.savez."
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path} is one array, not an archive.", where="npz", hint=hint)
        with archive:
            return {name: _member(archive, name, path) for name in archive.files}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}.", where="npz", hint=hint) from None
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is no NumPy archive.", where="npz", hint=hint) from None


def _member(archive: Any, name: str, path: Path) -> np.ndarray:
    try:
        return np.asarray(archive[name])
    except ValueError:
        raise DataError(
            f"the array {name!r} of {path} holds Python objects (a pickle), which could run code; refused.",
            where="npz",
            hint="Save plain numbers or text: ragged rows padded to one length.",
        ) from None


def _named(path: Path, arrays: dict[str, np.ndarray], source: spec.Npz, weight: str | None) -> Raw:
    """x and y, or x_train, y_train and so on, for every name in `inputs` and `targets`."""
    raw = Raw(
        _part(
            path, arrays, source, weight, [_train_key(path, arrays, name) for name in _wanted(source, weight)]
        )
    )
    for part, endings in _SPLIT_ENDINGS.items():
        for ending in endings:
            keys = [name + ending for name in _wanted(source, weight)]
            present = [key for key in keys if key in arrays]
            if present and len(present) < len(keys):
                missing = sorted(set(keys) - set(present))
                raise DataError(
                    f"{path} has {present[0]!r} but no {missing[0]!r}.", where="npz", hint=_names(arrays)
                )
            if present:
                raw.change(part, _part(path, arrays, source, weight, keys))
    return raw


def _wanted(source: spec.Npz, weight: str | None) -> list[str]:
    return [*source.inputs, *source.targets, *([weight] if weight else [])]


def _train_key(path: Path, arrays: dict[str, np.ndarray], name: str) -> str:
    for key in (f"{name}_train", name):
        if key in arrays:
            return key
    raise DataError(
        f"{path} has no array {name!r} or '{name}_train'.",
        where="npz",
        hint=f"{_names(arrays)} Name yours with `inputs: [...]` and `targets: [...]`.",
    )


def _names(arrays: dict[str, np.ndarray]) -> str:
    return f"It has: {', '.join(sorted(arrays)[:20]) or 'nothing'}."


def _part(
    path: Path, arrays: dict[str, np.ndarray], source: spec.Npz, weight: str | None, keys: list[str]
) -> Arrays:
    found = [arrays[key] for key in keys]
    for key, array in zip(keys, found, strict=True):
        if array.ndim == 0:
            raise DataError(
                f"the array {key!r} of {path} is a single number.", where="npz", hint="Expected [n, ...]."
            )
    inputs, targets = len(source.inputs), len(source.targets)
    return Arrays(
        dict(zip(source.inputs, found[:inputs], strict=True)),
        dict(zip(source.targets, found[inputs : inputs + targets], strict=True)),
        found[-1] if weight else None,
    )


def write(splits: dict[str, Arrays], about: dict[str, Any], path: Path) -> None:
    """Writes splits so that {arrays: path} reads them back bit by bit. about: name, classes and notes."""
    content = {f"{part}/{name}": array for part, arrays in splits.items() for name, array in arrays.named()}
    content["about"] = np.array(json.dumps(about))
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **content)


def _saved(path: Path, arrays: dict[str, np.ndarray]) -> Raw:
    parts: dict[str, Arrays] = {}
    for part in _PARTS:
        x, y = (
            {
                key.removeprefix(f"{part}/{group}/"): array
                for key, array in arrays.items()
                if key.startswith(f"{part}/{group}/")
            }
            for group in ("x", "y")
        )
        if x:
            parts[part] = Arrays(x, y, arrays.get(f"{part}/sample_weight"))
    if "train" not in parts:
        hint = f"{did_you_mean('train', arrays)} Use {{npz: ...}} for an archive of your own."
        raise DataError(
            f"{path} was not written by harness.data.save: it has no train/x/....", where="arrays", hint=hint
        )
    about = json.loads(str(arrays["about"])) if "about" in arrays else {}
    raw = Raw(parts["train"], parts.get("validation"), parts.get("test"), classes=about.get("classes"))
    raw.name, raw.notes = about.get("name"), list(about.get("notes", ()))
    raw.vocabularies = {key: Vocabulary.from_data(item) for key, item in about.get("vocabularies", {}).items()}
    return raw
