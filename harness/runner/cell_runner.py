"""One cell: in a child of a worker, to a record, whatever becomes of it. What runs cells is set by Settings."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.records.folder import checkpoint_file
from harness.records.record import Record, write_record
from harness.records.store import Store
from harness.runner.blocks import BlockSettings
from harness.runner.cell import failure, now
from harness.runner.certificates import Certifier
from harness.runner.dependencies import Need
from harness.runner.executors.choice import Choice
from harness.runner.matrix import Cell
from harness.runner.workers import Job, JobResult, Workers

OnEvent = Callable[[dict[str, Any]], None]
CELL_JOB = "harness.runner.cell:cell_job"
WAITING = {"event": "waiting", "message": "another run on this machine is timing; waiting for it."}


@dataclass
class Settings:
    """How cells are run. backend_of: cell -> the worker that runs it; certifier: opens what certifies, None to leave
    it; blocks: how the backends are timed against each other, None to leave it; executor: where all that happens; tests
    put their own in these places.
    """

    function: str = CELL_JOB
    retry_failed: bool = False
    timeout: float | None = None
    lock: Path | None = None
    backend_of: Callable[[Cell], str] = lambda cell: cell.backend
    certifier: Callable[[], contextlib.AbstractContextManager[Certifier]] | None = None
    blocks: BlockSettings | None = None
    executor: Choice = field(default_factory=Choice)


def is_due(record: Record | None, settings: Settings) -> bool:
    """Whether a cell with that record is to be run."""
    return record is None or (record.status == "failed" and settings.retry_failed)


@dataclass
class CellRunner:
    """One cell: in a child, to a record, whatever becomes of it. place: (its number, of how many)."""

    cell: Cell
    needed: list[Need]
    store: Store
    settings: Settings
    workers: Workers
    tell: OnEvent
    place: tuple[int, int]

    def __call__(self) -> None:
        # Another driver may have run it while this one waited for the lock.
        record = self.store.get(self.cell.id)
        if not is_due(record, self.settings):
            assert record is not None
            self._finished(record.status, record.reason, 0.0)
            return
        began, started = time.monotonic(), now()
        self.tell({"event": "cell_started", "id": self.cell.id, "title": self.cell.title, "index": self.place[0],
                   "of": self.place[1], "labels": dict(self.cell.labels), "backend": self.cell.backend})
        result = self._train()
        record = self.store.get(self.cell.id) if result.status == "done" else None
        if record is None:
            reason = result.reason or {"kind": "error", "message": "the cell left no whole record."}
            write_record(self.store.folder(self.cell.id), failure(self.cell, started, reason), {}, {})
            self._finished("failed", reason, time.monotonic() - began)
        else:
            self._finished("done", None, time.monotonic() - began)

    def _train(self) -> JobResult:
        checkpoints, missing = {}, None
        for need in self.needed:
            path = self.store.folder(need.twin.id) / checkpoint_file(need.after)
            checkpoints[f"{need.backend}/{need.after}"] = str(path.resolve())
            if not path.is_file():
                missing = f"the checkpoint of {need.twin.title!r} ({need.twin.id}) after {need.after!r} is missing: " \
                          "that cell failed."
        if missing is not None:
            return JobResult("failed", reason={"kind": "error", "message": missing})
        log = self.store.path / "logs" / f"{self.cell.id}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        folder = self.store.folder(self.cell.id).resolve()
        arguments = {"cell": self.cell.to_data(), "folder": str(folder), "checkpoints": checkpoints}
        worker = self.workers.get(self.settings.backend_of(self.cell))
        # The times of whole trainings contain compiling, in every seed alike.
        return worker.run(Job(self.settings.function, arguments, log.resolve(), cold=True), self._progress,
                          self.settings.timeout)

    def _progress(self, event: dict[str, Any]) -> None:
        self.tell({**event, "id": self.cell.id})

    def _finished(self, status: str, reason: Mapping[str, Any] | None, seconds: float) -> None:
        short = None if reason is None else {"kind": reason.get("kind"), "message": reason.get("message")}
        self.tell({"event": "cell_finished", "id": self.cell.id, "title": self.cell.title, "status": status,
                   "reason": short, "seconds": seconds})

    def tell_waiting(self) -> None:
        self.tell(dict(WAITING))
