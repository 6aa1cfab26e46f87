"""The members of a challenge bundle that a run needs beside its spec: weights that no seed gives, data, arrays."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.exchange.bundle import to_bytes
from harness.records import strict_json
from harness.records.checkpoint import SUFFIX, load_checkpoint, save_checkpoint
from harness.runner.matrix import Cell
from harness.runner.models import load_dataset
from harness.runner.pretrained import first_weights
from harness.spec.dataset import DatasetSpec
from harness.spec.explicit import explicit
from harness.spec.recipe import Recipe
from harness.spec.sources import FileSource

LARGEST_DATA = 64 * 2**20


@dataclass
class Members:
    """Name -> content of one bundle. with_data: whether the arrays of the user's own files go with it; sets that come
    with a library never do. notes: what is not in the bundle, in sentences."""

    with_data: bool
    files: dict[str, bytes] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    _data: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, text: str) -> None:
        self.notes[f"{text}."] = None

    def portable(self, cell: Cell) -> tuple[Cell, bool]:
        """The cell with its weights, and its data where wanted, as members of the bundle; whether it then reads
        nothing outside."""
        recipe, data, own = explicit(cell.recipe), explicit(cell.data), True
        if cell.recipe.weights is not None:
            weights = first_weights(cell.model, cell.recipe, cell.seed, cell.folder)
            assert weights is not None
            recipe["weights"], recipe["new"] = self.keep(tensor_bytes(weights, checkpoint=True)), []
        for phase, written in zip(cell.recipe.phases, recipe["phases"], strict=True):
            if phase.start_from not in ("previous", "tensorflow", "pytorch"):
                path = (cell.folder or Path()) / phase.start_from
                load_checkpoint(path)
                written["start_from"] = self.keep(path.read_bytes())
            if phase.data is not None:
                written["data"], inside = self.dataset(DatasetSpec.parse(phase.data), cell.folder)
                own = own and inside
        data, inside = self.dataset(cell.data, cell.folder)
        return replace(cell, recipe=Recipe.parse(recipe), data=DatasetSpec.parse(data)), own and inside

    def keep(self, content: bytes) -> str:
        name = f"weights/{hashlib.sha256(content).hexdigest()}{SUFFIX}"
        self.files[name] = content
        return name

    def dataset(self, spec: DatasetSpec, folder: Path | None) -> tuple[dict[str, Any], bool]:
        """(the data as the bundle describes them, whether they need no file of the user's)."""
        written = explicit(spec)
        if not isinstance(spec.source, FileSource):
            return written, True
        if not self.with_data:
            self.note(f"the data of {spec.name!r} are not in the bundle, only what they are known by; --with-data "
                      "puts them in")
            return written, False
        key = strict_json.canonical(written)
        if key not in self._data:
            self._data[key] = self.include(spec, folder)
        return self._data[key], True

    def include(self, spec: DatasetSpec, folder: Path | None) -> dict[str, Any]:
        """The split and prepared arrays as one file, read back to be sure."""
        from harness.data import load, save

        dataset = load_dataset(spec, folder)
        size = sum(array.nbytes for part in dataset.splits.values() for _, array in part.named())
        if size > LARGEST_DATA:
            raise DataError(f"{size / 2**20:,.0f} MiB of arrays; a bundle takes at most {LARGEST_DATA // 2**20}.",
                            where=spec.name, hint="Leave out --with-data: then whoever replays it needs the file.")
        name = f"data/{dataset.fingerprint}.npz"
        with tempfile.TemporaryDirectory(prefix="harness-bundle-") as place:
            path = Path(place) / name
            path.parent.mkdir()
            save(dataset, path)
            described = DatasetSpec.parse({"arrays": name})
            back = load(described, Path(place))
            if (back.fingerprint, back.classes) != (dataset.fingerprint, dataset.classes):
                raise DataError("the data do not come back as they are from an archive of arrays.", where=spec.name,
                                hint="Leave out --with-data.")
            self.files[name] = path.read_bytes()
        return explicit(described)  # type: ignore[no-any-return]


def json_bytes(data: Any) -> bytes:
    return to_bytes(strict_json.dumps(data) + "\n")


def tensor_bytes(arrays: Mapping[str, np.ndarray], checkpoint: bool = False) -> bytes:
    from safetensors.numpy import save

    if not checkpoint:
        return save({name: np.require(array, requirements="C") for name, array in arrays.items()})
    with tempfile.TemporaryDirectory(prefix="harness-bundle-") as place:
        path = Path(place) / "weights.safetensors"
        save_checkpoint(path, arrays)
        return path.read_bytes()
