"""Halves of blocks whose worker, or whose node, dies under them, and which write down when they ran."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.runner.block_jobs import fake_half, place
from tests.runner.jobs import note


def dying_half(arguments: dict[str, Any], emit: Any) -> Any:
    """Some second halves take their worker or their node along."""
    folder, began = place(arguments), time.time()
    done = folder / "intervals.txt"
    if done.is_file() and f" {arguments['block']} " in done.read_text():
        _die(folder)
    time.sleep(0.2)
    found = fake_half(arguments, emit)
    note(done, f"{began} {time.time()} {arguments['block']} {arguments['cell']['backend']}")
    return found


def slow_cell(arguments: dict[str, Any], emit: Any) -> Any:
    """Says who it is, and does not come to an end."""
    note(Path(arguments["cell"]["folder"]) / "pids.txt", str(os.getpid()))
    time.sleep(120)


def _die(folder: Path) -> None:
    """The folder's file "kill-worker" kills one worker; "kill-node" names a raylet, which dies with the worker."""
    worker = _parent(os.getppid())
    raylet = _parent(worker)
    if _mine(folder / "kill-node", str(raylet)):
        os.kill(raylet, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        time.sleep(60)
    if _mine(folder / "kill-worker", "any"):
        os.kill(worker, signal.SIGKILL)
        time.sleep(60)


def _mine(mark: Path, wanted: str) -> bool:
    """Whether the file says so; it does once."""
    if not mark.is_file() or mark.read_text() != wanted:
        return False
    mark.rename(mark.with_name(f"{mark.name}-done"))
    return True


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
