"""What a dataset is known by: hashes of arrays and of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.data.dataset import Arrays


def fingerprint(splits: Mapping[str, Arrays]) -> str:
    """sha256 (hex) over name, dtype, shape and bytes of every array, in an order of its own.

    Equal arrays give equal fingerprints on every machine: dtypes are written little-endian.
    """
    digest = hashlib.sha256()
    for split in sorted(splits):
        for name, array in splits[split].named():
            little = array.dtype.newbyteorder("<")
            digest.update(f"{split}/{name}|{little.str}|{array.shape}|".encode())
            digest.update(np.ascontiguousarray(array, dtype=little).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def file_hash(path: Path) -> dict[str, str | int]:
    """{"sha256": hex, "size": bytes} of a file; remembered while size and time of change stay the same."""
    state = path.stat()
    return {"sha256": _sha256(str(path), state.st_size, state.st_mtime_ns), "size": state.st_size}


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, changed: int) -> str:
    """size and changed only tell one state of the file from the next."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
