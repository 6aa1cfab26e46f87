"""Where a run stands, from the driver's events: for the progress display and its estimate of the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """Feed it every event of `execute`. total, done, failed, skipped: cells. current: the running cell's title.

    skipped cells were finished by an earlier run. share: how much of the current cell is done, 0 to 1. blocks_done:
    in this run; blocks_left: up to the next look of each setting.
    """

    clock: Callable[[], float] = time.monotonic
    total: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    current: str | None = None
    phase: str | None = None
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    samples_per_second: float | None = None
    message: str | None = None
    blocks_done: int = 0
    _open_blocks: dict[str, int] = field(default_factory=dict)
    _blocks: tuple[int, float] = (0, 0.0)
    _steps: tuple[int, int] = (0, 1)
    _began: float | None = None
    _ran: float = 0.0

    def update(self, event: Mapping[str, Any]) -> None:
        """Takes in one event."""
        kind = event.get("event")
        if kind == "plan":
            self.total, self.skipped = event["cells"], event["skipped"]
            self.done = self.skipped
        elif kind == "certifying":
            self.current, self.phase = f"certifying {event['index']}/{event['of']}: {event['title']}", None
            self.loss = self.samples_per_second = self.message = None
        elif kind == "certified_rung":
            self.message = f"phase {event['phase']}, {event['rung']} {event['status']}"
        elif kind == "certified":
            self.current = self.message = None
        elif kind == "cell_started":
            self.current, self._began, self._steps = event["title"], self.clock(), (0, 1)
            self.loss = self.samples_per_second = self.phase = self.message = None
        elif kind == "step":
            self.phase, self.epoch, self.epochs = event.get("phase"), event.get("epoch", 0), event.get("epochs", 0)
            self._steps = (event.get("step", 0), max(1, event.get("steps", 1)))
            self.loss = event["loss"] if event.get("loss") is not None else self.loss
            self.samples_per_second = event.get("samples_per_second")
        elif kind == "cell_finished":
            self.done += 1
            self.failed += event["status"] != "done"
            self._ran += event["seconds"]
            self.current, self._began = None, None
        elif kind == "waiting":
            self.message = event["message"]
        elif kind in ("blocks", "block_started", "pilot", "half", "block_finished", "blocks_stopped"):
            self._update_blocks(str(kind), event)

    def _update_blocks(self, kind: str, event: Mapping[str, Any]) -> None:
        if kind == "blocks":
            self._open_blocks = dict(event["open"])
        elif kind == "block_started":
            self.current = f"{event['title']}: {event['done']} of {event['target']} blocks"
            self.phase = self.loss = self.samples_per_second = self.message = None
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
        return self._began is not None

    @property
    def share(self) -> float:
        """How much of the current cell's phase is done."""
        return self._steps[0] / self._steps[1]

    @property
    def blocks_left(self) -> int:
        """How many blocks are missing up to the next look of each setting."""
        return sum(self._open_blocks.values())

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the cells, and from the blocks, run so far; None before the first is done."""
        ran, blocks = self.done - self.skipped, self._blocks[0]
        if ran <= 0 and not blocks:
            return None
        each = self._ran / ran if ran > 0 else 0.0
        running = 0.0 if self._began is None else min(each, self.clock() - self._began)
        in_blocks = self._blocks[1] / blocks * self.blocks_left if blocks else 0.0
        return max(0.0, each * (self.total - self.done) - running) + in_blocks
