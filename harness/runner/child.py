"""What the process of one job does: its output to the log, the function called, its end reported."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from harness.errors import CellFailed, SpecError
from harness.runner import compiled

Emit = Callable[[dict[str, Any]], None]
# How allocators say that there is not enough memory, where the exception's type does not.
MEMORY_WORDS = ("out of memory", "can't allocate memory", "unable to allocate", "failed to allocate", "oom when")


def run_job(job: dict[str, Any], send: Emit, *, forked: bool) -> None:
    """Runs one job and sends "started", the function's own events, and one "result" or "failed".

    job["function"] is "module:name"; the function takes the arguments (a dict) and `emit`, and returns
    what JSON can hold.
    """
    identity = job["job"]

    def emit(event: dict[str, Any]) -> None:
        send({**event, "job": identity})

    _redirect(job.get("log"))
    for folder in job.get("path", []):
        if folder not in sys.path:
            sys.path.append(folder)
    emit({"event": "started", "pid": os.getpid(), "forked": forked})
    try:
        module, _, name = job["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        compiled.begin(cold=bool(job.get("cold")))
        value = function(job["arguments"], emit)
        json.dumps(value)
        compiled.keep()
        emit({"event": "result", "value": value})
    except BaseException as error:  # a job's end is always reported, SystemExit's too
        traceback.print_exc()
        emit({"event": "failed", **reason(error)})
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def reason(error: BaseException) -> dict[str, Any]:
    """{"kind", "message", ...} of an exception; for a SpecError also its parts, so that it can be raised again."""
    if isinstance(error, CellFailed):
        return {"kind": error.kind, "message": str(error)}
    if isinstance(error, SpecError):
        return {"kind": "spec", "message": str(error), "parts": [error.message, error.where, error.hint]}
    text = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    memory = isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "ResourceExhaustedError")
    if memory or any(words in text.lower() for words in MEMORY_WORDS):
        return {"kind": "out_of_memory", "message": _short(text)}
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return {"kind": "error", "message": _short(text) + place, "traceback": _last(traceback.format_exc())}


def _short(text: str, most: int = 2000) -> str:
    return text if len(text) <= most else text[:most] + "..."


def _last(text: str, most: int = 20000) -> str:
    return text[-most:]


def _redirect(log: str | None) -> None:
    """Everything that this process and its libraries print goes to the log; nothing is read from stdin."""
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    source = os.open(os.devnull, os.O_RDONLY)
    os.dup2(source, 0)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(source)
    os.close(target)
