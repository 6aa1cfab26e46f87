"""What a node tells while it works: lines of JSON in a file of the store, which the driver reads as they come.

    <store>/logs/live/<task>.jsonl      gone when the task has ended

Where a node does not see the store there is none, and only beginnings and ends are told.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "logs/live"
# Of steps, the driver hears no more than one in so many seconds.
STEP_SECONDS = 1.0
# What the driver tells itself, at the beginning and at the end of a task.
OWN = ("cell_started", "cell_finished")
BEGUN = {"event": "begun"}


def live_path(store: Path, key: str) -> Path:
    """key: of the task."""
    return store / FOLDER / f"{key.replace(' ', '-')}.jsonl"


@dataclass
class Teller:
    """The node's end. Telling never breaks a task: a line that cannot be written is not told."""

    path: Path | None
    _last_step: float = -STEP_SECONDS

    def __call__(self, event: Mapping[str, Any]) -> None:
        if self.path is None or event["event"] in OWN:
            return
        if event["event"] == "step":
            if time.monotonic() - self._last_step < STEP_SECONDS:
                return
            self._last_step = time.monotonic()
        with contextlib.suppress(OSError, TypeError, ValueError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(event) + "\n")


@dataclass
class Listener:
    """The driver's end."""

    path: Path
    _read: int = 0
    _rest: bytes = field(default=b"")

    def __call__(self) -> list[dict[str, Any]]:
        """What is new."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return []
        self._read += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and isinstance(event.get("event"), str):
                    found.append(event)
        return found

    def close(self) -> None:
        self.path.unlink(missing_ok=True)
