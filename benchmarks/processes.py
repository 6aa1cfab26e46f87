"""A contender's process, seen from the driver: one at a time trains, the others wait for their turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.rounds import Window

ROOT = Path(__file__).resolve().parent.parent
# One thread in every pool; nothing on a GPU; compilers work in the process that is timed.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3", "TOKENIZERS_PARALLELISM": "false", "TORCHINDUCTOR_COMPILE_THREADS": "1",
}
LAST_LINES = 6


class ContenderError(Exception):
    """A contender ended without an answer. Its message: the last lines of what it wrote to standard error."""


class Process:
    """A contender that is warm when this returns. command: what opens it, as `python -m benchmarks.contenders` does."""

    def __init__(self, command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.child = subprocess.Popen(
                [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT,
                env=os.environ | ENVIRONMENT | (environment or {}))
        try:
            self.about = self._answer()
        except ContenderError:
            self.close()
            raise
        self.epoch_seconds = float(self.about["epoch_seconds"])

    def play(self, epochs: int) -> Window:
        """Trains that many epochs. Raises ContenderError."""
        return Window(**self._asked(f"{epochs}\n"))

    def finish(self) -> dict[str, Any]:
        """What Loop.check gives; the process ends. Raises ContenderError."""
        try:
            return self._asked("\n")
        finally:
            self.close()

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                pipe.close()

    def _asked(self, line: str) -> dict[str, Any]:
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(line)
            self.child.stdin.flush()
        except BrokenPipeError:
            pass  # it says why in its log
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.child.wait()
        last = self.log.read_text(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise ContenderError(" / ".join(text.strip() for text in last) or f"exit code {self.child.returncode}")


def opened(name: str, workload: str, data: Path, program: str | None, folder: Path) -> Process:
    """The contender `name`. program: of the harness's tuned tier, None for all others. folder: for its log."""
    label = name if program is None else f"{name}-{program.replace(' ', '_')}"
    command = [sys.executable, "-m", "benchmarks.contenders", name, workload, str(data)]
    return Process(command + ([program] if program else []), folder / f"{label}.log", CONTENDERS[name].environment)


def pinned(core: int | None) -> int | None:
    """Keeps this process, and those that it opens, on one core: the last one that it may use where none is given.
    Returns it, or None where the system has no such call."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = max(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {chosen})
    return chosen
