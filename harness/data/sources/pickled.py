"""Published archives that hold pickles, read without running anything that is in them.

Only the names that rebuild a NumPy array are known to this unpickler; whatever else a pickle asks for is
refused. It serves the archives named in published.py and no file of a user's own.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from harness.errors import DataError

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}


class ArrayUnpickler(pickle.Unpickler):
    """Rebuilds NumPy arrays, lists, numbers and text; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def unpickle(file: IO[bytes], place: str) -> Any:
    """The object in `file`. Raises DataError if it holds more than arrays."""
    try:
        return ArrayUnpickler(file, encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, ValueError) as error:
        raise DataError(f"{place} is refused: {error}.", hint="Fetch the published file again.") from None


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Every array of an .npz file, those of objects included."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(file)
                if dtype.hasobject:
                    arrays[member.removesuffix(".npy")] = unpickle(file, str(path)).reshape(shape)
                    continue
            with archive.open(member) as file:
                arrays[member.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays
