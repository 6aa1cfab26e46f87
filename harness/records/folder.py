"""A record's folder on disk: which files, and how they come to be there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from harness.records import strict_json
from harness.records.checkpoint import SUFFIX, save_checkpoint
from harness.records.inspection import Inspection, write_inspection

RUN_FILE = "run.json"
SERIES_FILE = "series.parquet"
TEMPORARY = ".tmp-"
REPLACED = ".old-"
STALE_SECONDS = 24 * 3600.0
# A failed run may have no step at all; its series then has these columns and no row.
EMPTY_SERIES = {
    "phase": np.array([], dtype=str),
    "epoch": np.array([], dtype=np.int64),
    "step": np.array([], dtype=np.int64),
    "loss": np.array([], dtype=np.float64),
    "learning_rate": np.array([], dtype=np.float64),
    "batch_size": np.array([], dtype=np.int64),
    "step_seconds": np.array([], dtype=np.float64),
}


def checkpoint_file(phase: str) -> str:
    """ "<phase>.safetensors"; what could leave the folder is percent-encoded, what is too long hashed."""
    name = quote(phase, safe=" ")
    if len(name) > 200:
        name = name[:100] + "-" + hashlib.sha256(phase.encode()).hexdigest()[:16]
    return name + SUFFIX


def write_folder(
    folder: Path,
    payload: Mapping[str, Any],
    series: Mapping[str, np.ndarray],
    checkpoints: Mapping[str, Mapping[str, np.ndarray]],
    inspection: Inspection | None = None,
) -> None:
    """Writes everything into a temporary sibling, syncs it, and renames it to `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f"{TEMPORARY}{folder.name}-{owner()}-{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        _write_series(temporary / SERIES_FILE, series or EMPTY_SERIES)
        for phase, tensors in checkpoints.items():
            save_checkpoint(temporary / checkpoint_file(phase), tensors, {"phase": phase})
        if inspection is not None:
            write_inspection(temporary, inspection)
        sizes = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
        text = strict_json.dumps({**payload, "files": sizes})
        (temporary / RUN_FILE).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        move_into_place(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def move_into_place(temporary: Path, folder: Path) -> None:
    """Syncs a temporary sibling and renames it to `folder`.

    A folder cannot be renamed over a full one: the old one steps aside first, and is then removed.
    """
    for path in temporary.iterdir():
        _sync(path)
    _sync(temporary)
    aside = folder.parent / f"{REPLACED}{folder.name}-{owner()}-{secrets.token_hex(4)}"
    if folder.exists():
        os.rename(folder, aside)
    os.rename(temporary, folder)
    _sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def clean(cells: Path) -> list[str]:
    """Finishes or removes what killed writers left among the cells; returns one note for each.

    A temporary folder is stale if its writer ran on this host and is gone, or after a day. A replaced
    record whose successor never arrived is put back.
    """
    notes = []
    for path in sorted(cells.glob(".*")) if cells.is_dir() else []:
        if not path.name.startswith((TEMPORARY, REPLACED)) or not stale(path):
            continue
        home = cells / path.name.split("-", 1)[1].rsplit("-", 3)[0]
        if path.name.startswith(REPLACED) and not home.exists():
            os.rename(path, home)
            notes.append(f"{home.name}: put back, its replacement was never finished.")
        else:
            shutil.rmtree(path, ignore_errors=True)
            notes.append(f"{path.name}: removed, its writer did not finish.")
    return notes


def owner() -> str:
    """host-pid, free of further hyphens in the host."""
    host = "".join(letter if letter.isalnum() else "_" for letter in socket.gethostname())
    return f"{host}-{os.getpid()}"


def stale(path: Path) -> bool:
    """Whether the writer of a temporary file or folder, named ...-<owner>-<random>, is gone."""
    host, pid = path.name.rsplit("-", 3)[-3:-1]
    if time.time() - path.stat().st_mtime > STALE_SECONDS:
        return True
    if host != owner().split("-")[0] or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _write_series(path: Path, series: Mapping[str, np.ndarray]) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({name: pyarrow.array(np.asarray(column)) for name, column in series.items()})
    pyarrow.parquet.write_table(table, path, compression="zstd")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
