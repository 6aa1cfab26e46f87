"""Workers: one fork server per framework, started when it is first needed; one child per job.

    result = worker("tensorflow").run(Job("harness.runner.cell:cell_job", {...}), on_event=print)

Nothing here imports a framework, and a user's script needs no `if __name__ == "__main__"`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, SpecError, did_you_mean
from harness.runner.connection import LOG_BYTES, Event, Server
from harness.runner.server import PRELOAD

# A fork that does not report within this time is taken to hang.
START_SECONDS = 30.0
FORKS = hasattr(os, "fork") and sys.platform != "darwin"


@dataclass(frozen=True)
class Job:
    """function: "module:name", called as function(arguments, emit). arguments: what JSON can hold.
    log: where the child's output goes; a temporary file if None, gone when the job is done. cold: it takes over nothing
    that an earlier job compiled (runner/compiled.py), so that what compiling takes is measured."""

    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    log: Path | None = None
    cold: bool = False


@dataclass(frozen=True)
class JobResult:
    """status: "done" (value holds what the function returned) or "failed" (reason: {"kind", "message"};
    kind is nan_loss, out_of_memory, killed, error, timeout or spec). forked: whether a fork ran it."""

    status: str
    value: Any = None
    reason: dict[str, Any] | None = None
    forked: bool = True

    def unwrap(self) -> Any:
        """The value. Raises SpecError for the user's mistake, HarnessError for any other failure."""
        if self.status == "done":
            return self.value
        assert self.reason is not None
        if self.reason["kind"] == "spec":
            message, where, hint = self.reason["parts"]
            raise SpecError(message, where=where, hint=hint)
        raise HarnessError(f"{self.reason['kind']}: {self.reason['message']}")


class Worker:
    """Runs jobs one after the other in children of a server that has imported `backend`'s framework.

    pass_fds: descriptors that the server keeps open (a lock that is to hold until the last child is gone).
    """

    def __init__(self, backend: str, *, pass_fds: tuple[int, ...] = (), fork: bool = FORKS) -> None:
        if backend not in PRELOAD:
            raise SpecError(f"unknown backend {backend!r}.", hint=did_you_mean(backend, PRELOAD))
        self.backend, self.fork, self.pass_fds = backend, fork, pass_fds
        self._process: Server | None = None
        self._lock = threading.Lock()
        self._jobs = 0

    def run(self, job: Job, on_event: Callable[[Event], None] | None = None, timeout: float | None = None) -> JobResult:
        """Runs a job to its end, whatever that is. timeout: seconds from its start. An exception out of
        on_event, and Ctrl-C, kill the job and are raised."""
        with self._lock, _log_of(job) as log:
            deadline = None if timeout is None else time.monotonic() + timeout
            if self.fork:
                result = self._attempt(job, log, on_event, timeout, forked=True)
                if result is not None:
                    return result
                # The fork hung: take a fresh interpreter for this job and all that follow.
                self._stop()
                self.fork = False
            left = None if deadline is None else max(1.0, deadline - time.monotonic())
            result = self._attempt(job, log, on_event, left, forked=False)
            assert result is not None
            return result

    def start(self) -> None:
        """Starts the server without waiting for its imports, so that they overlap with other work."""
        if self.fork and (self._process is None or not self._process.alive):
            self._process = Server(self.backend, once=False, pass_fds=self.pass_fds)

    def wait(self) -> None:
        """Waits until the server's imports are done; a server that fails says so at the first job."""
        if self._process is not None:
            self._process.ready()

    def close(self) -> None:
        """Ends the server; a running job is killed."""
        self._stop()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _attempt(
        self, job: Job, log: Path, on_event: Callable[[Event], None] | None, timeout: float | None, *, forked: bool,
    ) -> JobResult | None:
        """The job's result; None if a fork never came to life."""
        if forked:
            self.start()
        else:
            self._stop()
            self._process = Server(self.backend, once=True, pass_fds=self.pass_fds)
        server = self._process
        assert server is not None
        if not server.ready():
            reason = {"kind": "error", "message": f"the worker of {self.backend} did not start: {server.last_words()}"}
            self._stop()
            return JobResult("failed", reason=reason, forked=forked)
        self._jobs += 1
        identity = f"{os.getpid()}-{self._jobs}"
        server.send({"job": identity, "function": job.function, "arguments": job.arguments, "log": str(log),
                     "cold": job.cold, "path": [folder for folder in sys.path if folder]})
        try:
            return _follow(server, identity, log, on_event, timeout, forked)
        except BaseException:
            server.kill(identity)
            raise
        finally:
            if not forked:
                self._stop()


class Workers:
    """The fork servers of one run, started when first needed."""

    def __init__(self, descriptors: tuple[int, ...]) -> None:
        self.descriptors = descriptors
        self.known: dict[str, Worker] = {}

    def start(self, backends: Iterable[str]) -> None:
        """Starts all of them and waits: an import beside a timed cell would slow it down."""
        for backend in sorted(backends):
            self.get(backend).start()
        for backend in sorted(backends):
            self.get(backend).wait()

    def get(self, backend: str) -> Worker:
        if backend not in self.known:
            self.known[backend] = Worker(backend, pass_fds=self.descriptors)
        return self.known[backend]

    def close(self) -> None:
        for worker in self.known.values():
            worker.close()


def _follow(
    server: Server, identity: str, log: Path, on_event: Callable[[Event], None] | None, timeout: float | None,
    forked: bool,
) -> JobResult | None:
    """Reads a job's events until it has ended."""
    began = time.monotonic()
    started, outcome = False, None
    while True:
        limit = timeout if started else START_SECONDS
        event = server.next_event(None if limit is None else began + limit - time.monotonic())
        if event is None:  # out of time
            server.kill(identity)
            if not started:
                return None if forked else _failed("timeout", "the process did not start the job.", forked)
            return _failed("timeout", f"not done after {timeout:g} s; killed.", forked)
        kind = event.get("event")
        if kind == "closed":
            if outcome is None:
                return _failed("killed", f"its process ended ({server.ending()}).{_tail(log)}", forked)
            return outcome
        if event.get("job") != identity:
            continue
        if kind == "started":
            started, began = True, time.monotonic()
        elif kind == "result":
            outcome = JobResult("done", event.get("value"), forked=forked)
        elif kind == "failed":
            outcome = JobResult("failed", reason={k: v for k, v in event.items() if k not in ("event", "job")},
                                forked=forked)
        elif kind == "exit":
            return outcome or _failed("killed", f"{_ending(event['code'])}{_tail(log)}", forked)
        elif on_event is not None:
            on_event({key: value for key, value in event.items() if key != "job"})


def _failed(kind: str, message: str, forked: bool) -> JobResult:
    return JobResult("failed", reason={"kind": kind, "message": message}, forked=forked)


def _ending(code: int) -> str:
    if code == -9:
        return "killed by signal 9 (SIGKILL): by hand, or by the system for want of memory."
    if code < 0:
        return f"killed by signal {-code}."
    return f"its process ended with exit code {code} and without a result."


def _tail(log: Path) -> str:
    """The last lines of a log, for a failure that says nothing else."""
    try:
        text = log.read_bytes()[-LOG_BYTES:].decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return "\nIts last output:\n" + "\n".join(text.splitlines()[-8:]) if text else ""


@contextlib.contextmanager
def _log_of(job: Job) -> Iterator[Path]:
    if job.log is not None:
        yield job.log
        return
    descriptor, name = tempfile.mkstemp(prefix="harness-", suffix=".log")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


_workers: dict[str, Worker] = {}
_workers_lock = threading.Lock()


def worker(backend: str) -> Worker:
    """This process's worker for a backend, made at the first call and closed when the process ends."""
    with _workers_lock:
        if backend not in _workers:
            _workers[backend] = Worker(backend)
        return _workers[backend]


@atexit.register
def close_workers() -> None:
    """Ends the servers that `worker` started."""
    with _workers_lock:
        for item in _workers.values():
            item.close()
        _workers.clear()
