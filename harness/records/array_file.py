"""Arrays by name in one file: the names hold "/" and spaces, which are no good in an archive of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz in which the arrays are numbered and their names stand in an array of their own."""
    numbered: dict[str, Any] = {str(index): array for index, array in enumerate(arrays.values())}
    np.savez(path, names=np.array(list(arrays)), **numbered)


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote."""
    with np.load(path) as file:
        return {str(name): file[str(index)] for index, name in enumerate(file["names"])}
