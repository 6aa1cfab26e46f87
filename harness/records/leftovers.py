"""What killed runs left in a store, and taking records out of it: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.records import blocks, certificates, planned, running
from harness.records.experiment_file import EXPERIMENT_FILE
from harness.records.folder import REPLACED, RUN_FILE, STALE_SECONDS, TEMPORARY, owner, stale
from harness.records.store import ID, Store

LOGS = "logs"


@dataclass(frozen=True)
class Leftover:
    """One file or folder that nothing in the store needs. why: in words. bytes: of all that lies in it."""

    path: Path
    why: str
    bytes: int


def leftovers(store: Store) -> list[Leftover]:
    """All of them, in the order of their paths. What a living run is writing is none."""
    found = [*_among_cells(store), *_temporary(store.path), *_runs(store.path), *_logs(store)]
    return sorted((Leftover(path, why, _size(path)) for path, why in found), key=lambda item: item.path)


def remove(path: Path) -> None:
    """A file, a link (never what it leads to), or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_records(store: Store, ids: Iterable[str]) -> None:
    """The records of these ids with their logs. A kill leaves a record whole, or a leftover."""
    for id in ids:
        folder = store.folder(id)
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            aside = folder.parent / f"{TEMPORARY}{id}-{owner()}-{secrets.token_hex(4)}"
            os.rename(folder, aside)
            shutil.rmtree(aside)
        (store.path / LOGS / f"{id}.log").unlink(missing_ok=True)


def _among_cells(store: Store) -> Iterator[tuple[Path, str]]:
    for path in _entries(store.cells_path):
        if path.name.startswith((TEMPORARY, REPLACED)):
            home = store.cells_path / path.name.split("-", 1)[1].rsplit("-", 3)[0]
            # What was replaced by something that never came is put back by the next run: it is no leftover.
            if stale(path) and not (path.name.startswith(REPLACED) and not home.exists()):
                yield path, "its writer did not finish"
        elif ID.fullmatch(path.name) and path.is_dir() and not (path / RUN_FILE).exists():
            yield path, f"series or weights without a {RUN_FILE}"


def _temporary(store: Path) -> Iterator[tuple[Path, str]]:
    for folder in _entries(store / blocks.FOLDER):
        for path in _entries(folder) if folder.is_dir() and not folder.is_symlink() else ():
            if path.name.startswith(TEMPORARY) and stale(path):
                yield path, "its writer did not finish"
    own = (f".{EXPERIMENT_FILE}-", f".{planned.FILE}-")
    hidden = [path for path in _entries(store / certificates.FOLDER) if path.name.startswith(".")]
    hidden += [path for path in _entries(store) if path.name.startswith(own)]
    for path in hidden:
        with contextlib.suppress(FileNotFoundError):
            # Their names do not say on which machine they are written: only their age tells.
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                yield path, "its writer did not finish"


def _runs(store: Path) -> Iterator[tuple[Path, str]]:
    folder = store / running.FOLDER
    for run in running.read_running(store):
        if not run.alive:
            yield run.path, "the run that wrote it is gone"
    for path in _entries(folder):
        if path.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > running.SILENT_SECONDS:
                    yield path, "its writer did not finish"


def _logs(store: Store) -> Iterator[tuple[Path, str]]:
    """Logs of cells that are neither there nor to be run; all logs are kept where that is not known."""
    wanted = planned.read_planned(store.path)
    if wanted is None:
        return
    known = {*wanted, *store.ids(), *(cell.get("id") for run in running.read_running(store.path) for cell in run.cells)}
    for path in _entries(store.path / LOGS):
        if path.suffix == ".log" and ID.fullmatch(path.stem) and path.stem not in known:
            yield path, "the log of a cell that is neither there nor planned"


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else (path,)
    return sum(file.lstat().st_size for file in files if not file.is_dir())
