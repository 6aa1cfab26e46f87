"""Folders that `save_to_disk` of Hugging Face's `datasets` wrote (2.x to 5.x): Arrow streams, read with pyarrow alone.

Source of the format: datasets/arrow_dataset.py and dataset_dict.py, save_to_disk.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.files import find
from harness.data.vocabularies import Vocabulary
from harness.errors import DataError, did_you_mean
from harness.spec.text_sources import Huggingface

if TYPE_CHECKING:
    import pyarrow

_WHERE = "huggingface"
_PARTS = {"train": "train", "validation": "validation", "val": "validation", "dev": "validation", "test": "test"}
_HINT = "Expected a folder that `dataset.save_to_disk(FOLDER)` wrote."


def read(source: Huggingface, base: Path | None) -> Raw:
    """The columns by their names: text as objects, labels int64, pictures uint8 [n, height, width, channels]."""
    tables = {part: _table(place) for part, place in _folders(source, base).items()}
    parts = {}
    for part, table in tables.items():
        columns = {name: _column(table, name) for name in (*source.features, *source.target)}
        parts[part] = Arrays({name: columns[name] for name in source.features},
                             {name: columns[name] for name in source.target})
    if "train" not in parts:
        raise DataError(f"there is no split train among {', '.join(tables)}.", where=_WHERE, hint=_HINT)
    raw = Raw(parts["train"], parts.get("validation"), parts.get("test"))
    described = _json(_folders(source, base)["train"] / "dataset_info.json").get("features") or {}
    for name in (*source.features, *source.target):
        names = (described.get(name) or {}).get("names")
        if names:
            raw.vocabularies[name] = Vocabulary(tuple(map(str, names)))
            if (name,) == source.target:
                raw.classes = len(names)
    return raw


def identity(source: Huggingface, base: Path | None) -> dict[str, Any]:
    return {"files": [file_hash(path) for place in _folders(source, base).values() for path in _files(place)]}


def _folders(source: Huggingface, base: Path | None) -> dict[str, Path]:
    folder = find(source.huggingface, base, _WHERE, folder=True)
    if not (folder / "dataset_dict.json").is_file():
        return {"train": folder}
    names = [str(name) for name in _json(folder / "dataset_dict.json").get("splits", ())]
    odd = next((name for name in names if name not in _PARTS), None)
    if odd is not None:
        raise DataError(f"{folder} has a split {odd!r}.", where=_WHERE,
                        hint=f"{did_you_mean(odd, _PARTS)} Save the splits that are wanted under these names.")
    return {_PARTS[name]: folder / name for name in names}


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}.", where=_WHERE, hint=_HINT) from None
    return content if isinstance(content, dict) else {}


def _files(place: Path) -> list[Path]:
    names = [str(item["filename"]) for item in _json(place / "state.json").get("_data_files", ())]
    # Only files beside the state: a state that somebody else wrote cannot reach elsewhere.
    return [place / Path(name).name for name in names]


def _table(place: Path) -> pyarrow.Table:
    import pyarrow

    tables = []
    for path in _files(place):
        try:
            with pyarrow.memory_map(str(path)) as file:
                tables.append(pyarrow.ipc.open_stream(file).read_all())
        except (OSError, pyarrow.ArrowInvalid) as error:
            raise DataError(f"cannot read {path}: {error}.", where=_WHERE, hint=_HINT) from None
    if not tables:
        raise DataError(f"{place} has no data.", where=_WHERE, hint=_HINT)
    return pyarrow.concat_tables(tables)


def _column(table: pyarrow.Table, name: str) -> np.ndarray:
    import pyarrow

    if name not in table.column_names:
        raise DataError(f"there is no column {name!r}.", where=_WHERE, hint=did_you_mean(name, table.column_names))
    column = table[name].combine_chunks()
    kind = column.type
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        return np.array([*column.to_pylist()], dtype=object)
    if pyarrow.types.is_struct(kind) and {field.name for field in kind} >= {"bytes", "path"}:
        return _pictures(column.to_pylist(), name)
    if column.null_count:
        raise DataError(f"the column {name!r} has {column.null_count} missing values.", where=_WHERE,
                        hint="Filter them out before saving.")
    if pyarrow.types.is_nested(kind):
        try:
            return np.array(column.to_pylist())
        except ValueError:
            raise DataError(f"the lists of {name!r} have different lengths.", where=_WHERE,
                            hint="Pad them to one length before saving.") from None
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values


def _pictures(items: list[dict[str, Any] | None], name: str) -> np.ndarray:
    from PIL import Image

    pictures = []
    for place, item in enumerate(items):
        if item is None or item["bytes"] is None:
            raise DataError(f"the picture {place} of {name!r} is not in the file.", where=_WHERE,
                            hint="Save the set with its pictures (`embed_external_files`).")
        try:
            with Image.open(io.BytesIO(item["bytes"])) as opened:
                picture = np.asarray(opened.convert("L" if opened.mode in ("1", "L", "I;16") else "RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"the picture {place} of {name!r} cannot be read ({error}).", where=_WHERE) from None
        pictures.append(picture[..., None] if picture.ndim == 2 else picture)
    shapes = {picture.shape for picture in pictures}
    if len(shapes) > 1:
        raise DataError(f"the pictures of {name!r} have different shapes: {sorted(shapes)[:2]}.", where=_WHERE,
                        hint="Resize them before saving.")
    return np.stack(pictures)
