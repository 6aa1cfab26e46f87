"""The fork server: a process that imports a framework once, never computes, and forks a child for every job.

    python -m harness.runner.server tensorflow          one child per job, until stdin closes
    python -m harness.runner.server tensorflow --once   no fork: one job in this process, then the end

Jobs come as JSON lines on stdin: {"job": id, "function": "module:name", "arguments": {...}, "log": path,
"path": [...]}, or {"kill": id}. What happens goes out as JSON lines on the stdout that the process was
started with; whatever a framework prints goes to the log instead. A child dies with the server, and the
server ends when its stdin closes: a killed driver leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import threading
from typing import Any

from harness.runner.child import run_job

# A fork is safe only if the parent has run no operation of the framework: these are imports and nothing else.
# The first torch.optim optimizer imports torch._dynamo, which takes longer than many a cell.
# The rest is what every cell imports before and after training; "none" is a worker without a framework.
_EVERY = ("harness.runner.cell", "pyarrow.parquet", "safetensors.numpy")
_TRAINING = (*_EVERY, "harness.plan.initial", "harness.runner.certifying", "harness.runner.trajectory",
             "sklearn.datasets")
PRELOAD = {
    "tensorflow": ("tensorflow", "keras", "harness.backends.tensorflow", *_TRAINING),
    "pytorch": ("torch", "torch._dynamo", "harness.backends.pytorch", *_TRAINING),
    "none": _EVERY,
}
POLL_SECONDS = 0.02


class Channel:
    """The protocol's end of this process: the stdout that it was started with, moved out of the way."""

    def __init__(self) -> None:
        self.descriptor = os.dup(1)
        os.dup2(2, 1)

    def send(self, message: dict[str, Any]) -> None:
        # The first newline ends a line that a killed child left half written.
        data = b"\n" + json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self.descriptor, data):]


class Lines:
    """Lines of stdin, without a buffer that a fork would copy half full."""

    def __init__(self) -> None:
        self.rest = b""
        self.closed = False

    def read(self) -> list[bytes]:
        """Waits for input; the whole lines that came, [] at the end of the file too (then `closed`)."""
        chunk = os.read(0, 1 << 16)
        self.closed = not chunk
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        return [line for line in lines if line.strip()]


def main(arguments: list[str]) -> int:
    name, once = arguments[0], "--once" in arguments
    channel, lines = Channel(), Lines()
    for module in PRELOAD[name]:
        importlib.import_module(module)
    channel.send({"event": "ready", "pid": os.getpid()})
    waiting: list[dict[str, Any]] = []
    try:
        while True:
            while not waiting:
                waiting += [json.loads(line) for line in lines.read()]
                if lines.closed:
                    return 0
            job = waiting.pop(0)
            if "kill" in job:
                continue  # it has ended already
            if once:
                threading.Thread(target=_end_with_driver, args=(os.dup(0),), daemon=True).start()
                run_job(job, channel.send, forked=False)
                return 0
            waiting += _serve(job, channel, lines)
            if lines.closed:
                return 0
    except (BrokenPipeError, KeyboardInterrupt):
        return 1


def _serve(job: dict[str, Any], channel: Channel, lines: Lines) -> list[dict[str, Any]]:
    """Forks a child for the job and sees it to its end; returns the jobs that came in meanwhile."""
    server = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _be_a_child(job, channel, server)
    watch = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    later: list[dict[str, Any]] = []
    while True:
        inputs = [] if lines.closed else [0]
        ready, _, _ = select.select([*inputs, *([watch] if watch is not None else [])], [], [],
                                    None if watch is not None else POLL_SECONDS)
        if 0 in ready:
            for message in map(json.loads, lines.read()):
                if message.get("kill") == job["job"]:
                    _kill(child)
                else:
                    later.append(message)
            if lines.closed:
                _kill(child)
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
    if watch is not None:
        os.close(watch)
    _kill(child)  # what the child itself started
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(BrokenPipeError):
        channel.send({"event": "exit", "job": job["job"], "code": code})
    return later


def _kill(child: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)
            return


def _be_a_child(job: dict[str, Any], channel: Channel, server: int) -> None:
    """Runs the job in a process group of its own and ends the process, whatever happens."""
    code = 1
    try:
        os.setpgid(0, 0)
        _die_with(server)
        run_job(job, channel.send, forked=True)
        code = 0
    finally:
        os._exit(code)


def _end_with_driver(stdin: int) -> None:
    """Ends a process that runs its job itself when the driver's end of stdin closes."""
    while os.read(stdin, 1 << 16):
        pass
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _die_with(server: int) -> None:
    """Asks Linux to kill this process when the server dies; elsewhere the server's end of file has to do."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != server:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
