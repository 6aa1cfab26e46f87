"""Who is at work on a store: <store>/running/<host>-<pid>.json, one file per run, rewritten while it goes on.

It says which cells are being trained and how far the run is, so that `harness status` can tell from another terminal,
or from another machine that sees the folder. A file whose run is gone says nothing about the store: `harness gc`
removes it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.records import strict_json
from harness.records.folder import owner

FOLDER = "running"
SCHEMA = 1
# A run on another machine that has not written for so long is taken to be gone. It writes every few seconds.
SILENT_SECONDS = 120.0


@dataclass(frozen=True)
class Running:
    """One run that is at work. cells: {"id", "title", "phase", "share", "seconds"} of each that is being trained.

    current: what is done beside cells (a certificate, a timed block), None for nothing. seconds_left: the run's own
    estimate. of: how many cells it works off; done counts those of earlier runs too.
    """

    path: Path
    host: str
    pid: int
    alive: bool
    started_at: str
    command: str | None = None
    of: int = 0
    done: int = 0
    failed: int = 0
    workers: int = 1
    seconds_left: float | None = None
    current: str | None = None
    cells: list[dict[str, Any]] = field(default_factory=list)

    def to_data(self) -> dict[str, Any]:
        return {"host": self.host, "pid": self.pid, "started_at": self.started_at, "of": self.of, "done": self.done,
                "failed": self.failed, "workers": self.workers, "seconds_left": self.seconds_left,
                "current": self.current, "cells": self.cells}


def running_path(store: Path | str) -> Path:
    """Where this process says that it is at work."""
    return Path(store) / FOLDER / f"{owner()}.json"


def write_running(path: Path, data: Mapping[str, Any]) -> None:
    """Whole or not at all. data: as `Running`, without path and alive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    host, _, pid = path.stem.rpartition("-")
    text = strict_json.dumps({"schema": SCHEMA, "host": host, "pid": int(pid), **data})
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}")
    try:
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_running(path: Path) -> None:
    """The file, and the folder where it was the last one."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def read_running(store: Path | str) -> list[Running]:
    """All of them, those that are gone too. What cannot be read is one that is gone: its writer replaces it whole."""
    folder = Path(store) / FOLDER
    return [_read(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def _read(path: Path) -> Running:
    host, _, pid = path.stem.rpartition("-")
    number = int(pid) if pid.isdecimal() else 0
    try:
        data = strict_json.loads(path.read_text(encoding="utf-8"))
        seconds, age = data.get("seconds_left"), time.time() - path.stat().st_mtime
        return Running(
            path, host, number, alive=_alive(host, number, age), started_at=str(data.get("started_at")),
            command=data.get("command"), of=int(data.get("of") or 0), done=int(data.get("done") or 0),
            failed=int(data.get("failed") or 0), workers=max(1, int(data.get("workers") or 1)),
            seconds_left=None if seconds is None else float(seconds), current=data.get("current"),
            cells=[dict(cell) for cell in data.get("cells") or ()])
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return Running(path, host, number, alive=False, started_at="")


def _alive(host: str, pid: int, age: float) -> bool:
    """By its process where that is on this host; else by when it last wrote (a clock behind ours is no proof)."""
    if host != owner().rpartition("-")[0]:
        return age < SILENT_SECONDS
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # The number may have been given to another process since.
    return age < SILENT_SECONDS
