"""Files between the store and a node that does not see its folder: bytes there, whole records back.

What comes back is written like a record: aside, then renamed. A name that would leave the store is refused.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError
from harness.records.folder import TEMPORARY, move_into_place, owner

# What a node may leave in a store.
FOLDERS = ("cells", "logs", "pilots")


def pack(folder: Path, leave_out: Iterable[str] = ()) -> dict[str, bytes]:
    """Path below the folder -> content, of all files but these."""
    out = set(leave_out)
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    wanted = {name: path for name, path in names.items() if name not in out and name.partition("/")[0] in FOLDERS}
    return {name: path.read_bytes() for name, path in wanted.items()}


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files plainly: into a folder of one's own."""
    for name, content in files.items():
        path = folder / _checked(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def receive(store: Path, files: Mapping[str, bytes]) -> None:
    """Takes what a node packed into the store: a cell's folder whole, every other file whole."""
    records: dict[str, dict[str, bytes]] = {}
    for name, content in files.items():
        parts = _checked(name).parts
        if parts[0] == "cells":
            if len(parts) > 2 and not parts[1].startswith("."):
                records.setdefault(parts[1], {})["/".join(parts[2:])] = content
        else:
            _write(store / name, content)
    for id, record in records.items():
        _write_record(store / "cells" / id, record)


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or path.parts[:1] == () or ":" in path.parts[0]:
        raise HarnessError(f"a node sent back a file {name!r}, which would lie outside the store.")
    return path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{owner()}-{secrets.token_hex(4)}")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _write_record(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f"{TEMPORARY}{folder.name}-{owner()}-{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        put(temporary, files)
        move_into_place(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
