"""What a look at a trained model left in its record: a summary in run.json, and arrays in inspection.npz.

Both are bounded: a thousand examples or a million cost the record nearly the same (runner/inspecting.py).
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FILE = "inspection.npz"
KEY = "inspection"


@dataclass(frozen=True, eq=False)
class Inspection:
    """data: what stands in run.json (docs/record-format.md). arrays: name -> array, as in inspection.npz."""

    data: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def split(self) -> str:
        return str(self.data.get("split"))

    @property
    def classes(self) -> list[dict[str, Any]]:
        """One entry for each output that names classes: {"output", "count", "names", "elements", "kept"}."""
        return self.data.get("classes") or []

    def array(self, name: str, number: int = 0) -> np.ndarray:
        """Of the number-th entry of `classes`: "confusion" [classes, classes] (rows: labels), and of its kept examples
        "label", "predicted", "probability" (that of the predicted class); empty where there is none."""
        return self.arrays.get(f"{name}_{number}", np.zeros(0))


def write_inspection(folder: Path, inspection: Inspection) -> None:
    """Writes the arrays, where there are any."""
    if inspection.arrays:
        np.savez_compressed(folder / FILE, **inspection.arrays)  # type: ignore[arg-type]


def read_inspection(folder: Path, data: Mapping[str, Any]) -> Inspection:
    """data: run.json's "inspection". Raises ValueError for a file of arrays that cannot be read."""
    path = folder / FILE
    if not path.is_file():
        return Inspection(data)
    try:
        with np.load(path) as archive:
            return Inspection(data, {name: archive[name] for name in archive.files})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no readable arrays ({error})") from None
