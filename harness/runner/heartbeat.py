"""A run says that it is at work, every few seconds, in a file of the store (records/running.py)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.records.running import remove_running, running_path, write_running
from harness.runner.cell import now
from harness.runner.progress import Progress

OnEvent = Callable[[dict[str, Any]], None]
BEAT_SECONDS = 5.0


@contextlib.contextmanager
def heartbeat(store: Path, on_event: OnEvent | None, *, seconds: float = BEAT_SECONDS) -> Iterator[OnEvent]:
    """Gives a function for the driver's events, which hands them on. Nothing is written before the run has begun with
    its "plan", and the file is gone when it ends, whichever way; only a killed run leaves one."""
    beat = _Heartbeat(store, on_event or (lambda event: None), seconds)
    try:
        yield beat.take
    finally:
        beat.end()


class _Heartbeat:
    def __init__(self, store: Path, on_event: OnEvent, seconds: float) -> None:
        self.path, self.on_event, self.seconds = running_path(store).absolute(), on_event, seconds
        self.progress, self.started_at = Progress(), now()
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.thread: threading.Thread | None = None

    def take(self, event: dict[str, Any]) -> None:
        with self.lock:
            self.progress.update(event)
        # What begins and ends is said at once; how far it is, at the next beat.
        if event.get("event") in ("plan", "cell_started", "cell_finished", "certifying", "block_started"):
            self._write()
        if self.thread is None and event.get("event") == "plan":
            self.thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self.thread.start()
        self.on_event(event)

    def end(self) -> None:
        self.ended.set()
        if self.thread is not None:
            self.thread.join()
            remove_running(self.path)

    def _beat(self) -> None:
        while not self.ended.wait(self.seconds):
            self._write()

    def _write(self) -> None:
        # A full disk, or a folder taken away, must not end the run that it reports on.
        with self.lock, contextlib.suppress(OSError):
            write_running(self.path, {"started_at": self.started_at, **self.progress.to_data()})
