"""What Inductor compiled, from one job of a worker to the next: taken over only from jobs that came to their end.

    <folder>/now     where the job that runs reads and writes (TORCHINDUCTOR_CACHE_DIR)
    <folder>/kept    what jobs that came to their end left

A compilation that is killed leaves half a library behind, at which every later one would fail: it lies in `now`, and
the next job begins with another one. A job begins with a copy of `kept`, or with nothing where what compiling takes is
to be measured. The path is the same for every job, for it is part of what the cache goes by; a worker runs one job at a
time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

FOLDER, CACHE = "HARNESS_COMPILED", "TORCHINDUCTOR_CACHE_DIR"
NOW, KEPT, NEXT, OLD = "now", "kept", "next", "old"


def variables(folder: str) -> dict[str, str]:
    """The environment of a worker whose jobs share this folder; none where the user has a cache of their own."""
    return {} if CACHE in os.environ else {FOLDER: folder, CACHE: str(Path(folder) / NOW)}


def begin(cold: bool) -> None:
    """Called by a job before it computes. cold: it is to compile everything itself."""
    folder = _folder()
    if folder is None:
        return
    for name in (NOW, NEXT, OLD):
        shutil.rmtree(folder / name, ignore_errors=True)
    if not cold and (folder / KEPT).is_dir():
        shutil.copytree(folder / KEPT, folder / NOW)


def keep() -> None:
    """Called by a job that came to its end. Killed in here, it leaves less behind, and nothing half."""
    folder = _folder()
    if folder is None or not (folder / NOW).is_dir():
        return
    with contextlib.suppress(OSError):
        os.rename(folder / NOW, folder / NEXT)
        if (folder / KEPT).is_dir():
            # What others compiled, unless this job has it too.
            _add_missing(folder / KEPT, folder / NEXT)
            os.rename(folder / KEPT, folder / OLD)
        os.rename(folder / NEXT, folder / KEPT)
    shutil.rmtree(folder / OLD, ignore_errors=True)


def is_warm() -> bool:
    """Whether this job could take over anything; asked before it compiles."""
    folder = _folder()
    return folder is not None and (folder / NOW).is_dir() and any((folder / NOW).iterdir())


def _add_missing(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            shutil.copy2(path, place)


def _folder() -> Path | None:
    name = os.environ.get(FOLDER)
    return Path(name) if name and os.environ.get(CACHE) == str(Path(name) / NOW) else None
