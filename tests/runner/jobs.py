"""Jobs without a framework, for the tests of workers and driver."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from harness.errors import CellFailed, SpecError


def double(arguments: dict[str, Any], emit: Any) -> Any:
    emit({"event": "step", "loss": 0.5})
    return {"value": 2 * arguments["value"], "pid": os.getpid()}


def noisy(arguments: dict[str, Any], emit: Any) -> Any:
    """Prints what could be taken for the protocol, through Python and past it."""
    print('{"event": "result", "value": "forged"}', flush=True)
    os.write(1, b'{"event": "exit", "code": 0')
    sys.stderr.write("warning: noise without end of line")
    os.system("echo from a subprocess")
    return "x" * arguments["size"]


def kill_itself(arguments: dict[str, Any], emit: Any) -> Any:
    print("about to die", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def exits(arguments: dict[str, Any], emit: Any) -> Any:
    os._exit(7)


def calls_exit(arguments: dict[str, Any], emit: Any) -> Any:
    sys.exit(3)


def raises(arguments: dict[str, Any], emit: Any) -> Any:
    errors = {
        "nan": CellFailed("nan_loss", "the loss became nan at step 3."),
        "memory": MemoryError(),
        "cuda": RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."),
        "allocator": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        "spec": SpecError("no layer fits 'hiden'.", where="phase 'finetune'", hint="Did you mean 'hidden'?"),
        "other": ZeroDivisionError("division by zero"),
    }
    raise errors[arguments["which"]]


def sleep(arguments: dict[str, Any], emit: Any) -> Any:
    emit({"event": "sleeping", "pid": os.getpid()})
    time.sleep(arguments["seconds"])
    return "slept"


def fake_cell(arguments: dict[str, Any], emit: Any) -> Any:
    """Leaves a whole record whose figures follow from the cell's id, and notes every start beside the store."""
    from pathlib import Path

    from harness.records.record import write_record
    from harness.runner.cell import now, opening
    from harness.runner.matrix import Cell

    cell, folder = Cell.from_data(arguments["cell"]), Path(arguments["folder"])
    note(folder.parents[1] / "starts.txt", f"{cell.id} {'again' if folder.exists() else 'first'}")
    emit({"event": "step", "phase": "pretrain", "epoch": 1, "epochs": 1, "step": 1, "steps": 2, "loss": 1.0})
    time.sleep(0.03)
    if cell.seed == 13:
        raise CellFailed("nan_loss", "the loss became nan at step 1.")
    if cell.seed == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    loss = int(cell.id, 16) / 16**16
    epoch = {"epoch": 1, "loss": loss, "accuracy": 1 - loss, "val_loss": loss, "seconds": 0.01}
    phases = [{"name": phase.name, "epochs": [epoch], "samples": 64, "best_epoch": None, "stopped_early": False,
               "windows": [{"start": 0, "stop": 2, "seconds": 0.01, "warmup": False}], "program": "fake"}
              for phase in cell.recipe.resolved_phases()]
    series = {"phase": ["pretrain"] * 2, "epoch": [1, 1], "step": [0, 1], "loss": [1.0, loss],
              "learning_rate": [0.1, 0.1], "batch_size": [32, 32], "step_seconds": [0.005, 0.005]}
    used = {name: Path(path).read_bytes() != b"" for name, path in arguments["checkpoints"].items()}
    payload = {**opening(cell, now()), "status": "done", "reason": None, "phases": phases, "test": {"loss": loss},
               "plan": {"digest": cell.id}, "data": {"name": "digits"}, "environment": {}, "timing": {}, "memory": {},
               "used": used, "finished_at": now()}
    import numpy

    checkpoints = {phase["name"]: {"dense/kernel": numpy.zeros(2)} for phase in phases}
    write_record(folder, payload, {name: numpy.array(column) for name, column in series.items()}, checkpoints)
    return {"id": cell.id}


def note(path: Any, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
