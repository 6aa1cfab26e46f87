"""Where a run stands, from the driver's events: for the progress display and its estimate of the time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Of these many cells back the throughput is counted, and so many failures are remembered.
RECENT, LAST_ERRORS = 20, 3


@dataclass
class RunningCell:
    """One cell that is being trained. share: how much of its phase is done, 0 to 1. began: of the run's clock."""

    id: str
    title: str
    began: float
    phase: str | None = None
    epoch: int = 0
    epochs: int = 0
    share: float = 0.0
    loss: float | None = None
    samples_per_second: float | None = None

    def update(self, event: Mapping[str, Any]) -> None:
        """Takes in a "step"."""
        self.phase, self.epoch, self.epochs = event.get("phase"), event.get("epoch", 0), event.get("epochs", 0)
        self.share = event.get("step", 0) / max(1, event.get("steps", 1))
        self.loss = event["loss"] if event.get("loss") is not None else self.loss
        self.samples_per_second = event.get("samples_per_second")


@dataclass
class Progress:
    """Feed it every event of `execute`. total, done, failed, skipped: cells. current: what the run is at, in words.

    skipped cells were finished by an earlier run. cells: those that are being trained, by id. errors: the last
    failures, (title, reason). blocks_done: in this run; blocks_left: up to the next look of each setting.
    """

    clock: Callable[[], float] = time.monotonic
    total: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    current: str | None = None
    message: str | None = None
    blocks_done: int = 0
    cells: dict[str, RunningCell] = field(default_factory=dict)
    errors: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=LAST_ERRORS))
    loss: float | None = None
    _open_blocks: dict[str, int] = field(default_factory=dict)
    _blocks: tuple[int, float] = (0, 0.0)
    _ran: float = 0.0
    _most: int = 1
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT + 1))

    def update(self, event: Mapping[str, Any]) -> None:
        """Takes in one event."""
        kind = event.get("event")
        if kind == "plan":
            self.total, self.skipped = event["cells"], event["skipped"]
            self.done = self.skipped
        elif kind == "certifying":
            self.current = f"certifying {event['index']}/{event['of']}: {event['title']}"
            self.loss = self.message = None
        elif kind == "certified_rung":
            self.message = f"phase {event['phase']}, {event['rung']} {event['status']}"
        elif kind == "certified":
            self.current = self.message = None
        elif kind in ("cell_started", "step", "cell_finished"):
            self._update_cell(str(kind), event)
        elif kind in ("waiting", "redone"):
            self.message = event["message"]
        elif kind in ("blocks", "block_started", "pilot", "half", "block_finished", "blocks_stopped"):
            self._update_blocks(str(kind), event)

    def _update_cell(self, kind: str, event: Mapping[str, Any]) -> None:
        id = str(event.get("id"))
        if kind == "cell_started":
            self.cells[id] = RunningCell(id, event["title"], self.clock())
            self._most = max(self._most, len(self.cells))
            self.current, self.loss, self.message = event["title"], None, None
            if not self._ends:
                self._ends.append(self.clock())
        elif kind == "step":
            if id in self.cells:
                self.cells[id].update(event)
                self.current = self.cells[id].title
        else:
            ended = self.cells.pop(id, None)
            self.loss = None if ended is None else ended.loss
            self.done += 1
            self.failed += event["status"] != "done"
            self._ran += event["seconds"]
            self._ends.append(self.clock())
            self.current = next((cell.title for cell in self.cells.values()), None)
            if event["status"] != "done":
                reason = event.get("reason") or {}
                self.errors.append((str(event["title"]), f"{reason.get('kind')}: {reason.get('message')}"))

    def _update_blocks(self, kind: str, event: Mapping[str, Any]) -> None:
        if kind == "blocks":
            self._open_blocks = dict(event["open"])
        elif kind == "block_started":
            self.current = f"{event['title']}: {event['done']} of {event['target']} blocks"
            self.loss = self.message = None
        elif kind == "pilot":
            self.message = f"{event['backend']}, trying {event['program']} ({event['index']} of {event['of']})"
        elif kind == "half":
            self.message = ", ".join(str(event[key]) for key in ("backend", "stage") if event.get(key))
        elif kind == "blocks_stopped":
            self._open_blocks[event["setting"]] = 0
        else:
            self.blocks_done += event["status"] == "done"
            self._open_blocks[event["setting"]] = max(0, event["target"] - event["done"])
            self._blocks = (self._blocks[0] + 1, self._blocks[1] + event["seconds"])
            self.current = self.message = None

    @property
    def running(self) -> bool:
        """Whether a cell is being trained (and not, say, certified)."""
        return bool(self.cells)

    @property
    def share(self) -> float:
        """How much of the running cells' phases is done, in cells."""
        return sum(cell.share for cell in self.cells.values())

    @property
    def blocks_left(self) -> int:
        """How many blocks are missing up to the next look of each setting."""
        return sum(self._open_blocks.values())

    @property
    def cells_per_minute(self) -> float | None:
        """Over the last cells; None before the first has ended."""
        if len(self._ends) < 2 or self._ends[-1] <= self._ends[0]:
            return None
        return 60 * (len(self._ends) - 1) / (self._ends[-1] - self._ends[0])

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the cells, and from the blocks, run so far; None before the first is done."""
        ran, blocks = self.done - self.skipped, self._blocks[0]
        if ran <= 0 and not blocks:
            return None
        each = self._ran / ran if ran > 0 else 0.0
        running = sum(min(each, self.clock() - cell.began) for cell in self.cells.values())
        in_blocks = self._blocks[1] / blocks * self.blocks_left if blocks else 0.0
        # As many side by side as there were at once, while there are so many left.
        beside = max(1, min(self._most, self.total - self.done))
        return max(0.0, each * (self.total - self.done) - running) / beside + in_blocks

    def to_data(self) -> dict[str, Any]:
        """What records/running.py holds of a run."""
        now = self.clock()
        return {
            "of": self.total, "done": self.done, "failed": self.failed, "workers": max(1, len(self.cells)),
            "seconds_left": self.seconds_left, "current": None if self.cells else self.current,
            "cells": [{"id": cell.id, "title": cell.title, "phase": cell.phase, "share": cell.share,
                       "seconds": now - cell.began} for cell in self.cells.values()],
        }
