"""The driver's end of a fork server: its process, and the JSON lines to and from it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from harness.runner.compiled import variables

Event = dict[str, Any]
# Importing a framework on a busy machine.
IMPORT_SECONDS = 300.0
LOG_BYTES = 4000


class Server:
    """The server's process and the two ends of the protocol. A thread reads what it says."""

    def __init__(self, backend: str, *, once: bool, pass_fds: tuple[int, ...]) -> None:
        self.errors, self.once = tempfile.TemporaryFile(), once  # noqa: SIM115 (closed by close)
        self.compiled = tempfile.TemporaryDirectory(prefix="harness-compiled-", ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.runner.server", backend, *(["--once"] if once else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment(self.compiled.name),
            start_new_session=True, pass_fds=pass_fds if os.name == "posix" else (),
        )
        self.events: queue.Queue[Event] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ready(self) -> bool:
        """Waits until the framework is imported; False if the process ended instead."""
        if not hasattr(self, "_is_ready"):
            event = self.next_event(IMPORT_SECONDS)
            self._is_ready = event is not None and event.get("event") == "ready"
        return self._is_ready

    def send(self, message: Event) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def kill(self, job: str) -> None:
        self.send({"kill": job})

    def next_event(self, seconds: float | None) -> Event | None:
        """The next event, {"event": "closed"} after the last; None if there is none in time."""
        try:
            return self.events.get(timeout=None if seconds is None else max(0.0, seconds))
        except queue.Empty:
            return None

    def ending(self) -> str:
        code = self.process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read()[-LOG_BYTES:].decode("utf-8", "replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "it said nothing"

    def close(self) -> None:
        """Closes stdin, at which the server kills its child and ends; kills it if it does not."""
        assert self.process.stdin is not None
        if self.once:
            self.process.kill()
        with contextlib.suppress(BrokenPipeError, OSError):
            self.process.stdin.close()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()
        self.compiled.cleanup()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    self.events.put(event)
        self.process.stdout.close()
        self.events.put({"event": "closed"})


def environment(compiled: str | None = None) -> dict[str, str]:
    """The environment of a worker: this package found, Keras on TensorFlow, TensorFlow less talkative; Inductor keeps
    what it compiles below the folder `compiled` (runner/compiled.py). In the one that all processes share, a
    compilation that was killed leaves half a library behind, and times of compiling would depend on earlier runs."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    quiet = {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")}
    cache = {} if compiled is None else variables(compiled)
    return {**os.environ, **cache, **quiet, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
