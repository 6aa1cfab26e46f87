"""The pilot: which program of the tuned tier a setting is timed with, in one backend.

    <out>/pilots/<setting>-<backend>.json      what was found, of every program; a resumed run uses the same choice

Each program that the backend has for the cell (backends/contract.py: programs) plays the beginning of the cell's own
training in a fresh child. It is accepted if its weights stay where the backend's uncompiled lock-step training has
them, by the rung R4 of the certificate (certify/trajectories.py) and its limits; the fastest accepted one is chosen.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.certify.certificate import PASSED
from harness.certify.distances import Pair
from harness.certify.samples import Program, Trajectory, read_trajectory
from harness.certify.trajectories import timed_rung
from harness.errors import CellFailed
from harness.records import strict_json
from harness.records.array_file import read_arrays
from harness.runner.matrix import Cell
from harness.runner.trajectory import changed
from harness.runner.workers import Job, JobResult, Worker

FOLDER = "pilots"
SCHEMA = 1
BASE_JOB, PROGRAM_JOB = "harness.runner.pilot_jobs:base_job", "harness.runner.pilot_jobs:program_job"
# For "infinitely", which JSON has no number for.
FAR = 1e300
# Of one program, compiling and all.
LONGEST = 900.0
OnEvent = Callable[[dict[str, Any]], None]
# What is known of a program that was not timed.
NOT_TIMED: dict[str, Any] = {
    "samples_per_second": None, "step_seconds": None, "first_step_seconds": None, "compile_seconds": None,
    "break_even_steps": None, "words": None, "closest": None,
}


def chosen_program(
    cell: Cell, setting: str, out: Path, worker: Worker, *, machine: str = "", tell: OnEvent | None = None,
    jobs: tuple[str, str] = (BASE_JOB, PROGRAM_JOB), timeout: float = LONGEST,
) -> dict[str, Any]:
    """What the pilot found for a cell's setting and backend, read from its file or found out now.

    "chosen" is the Execution.program to time it with; "programs" has {"program", "accepted", "reason" (why not),
    "samples_per_second", "step_seconds", "first_step_seconds", "compile_seconds", "break_even_steps" (against the first
    of the list; None where it is not faster), "words", "closest" (the part of its limit that a distance took)} of every
    program that the backend knows. No pilot is made where the execution says what is run: "programs" is empty then.
    machine: its slug; the choice of another machine is not taken over. Raises CellFailed("no_program") if none is
    accepted.
    """
    settled = _settled(cell)
    if settled is not None:
        return {"chosen": cell.execution.program, "programs": [], "reason": settled}
    path = out / FOLDER / f"{setting}-{cell.backend}.json"
    found = _read(path, machine)
    if found is None:
        found = _Pilot(cell, worker, tell or (lambda event: None), jobs, timeout)()
        found = {"schema": SCHEMA, "setting": setting, "backend": cell.backend, "machine": machine, **found}
        _write(path, found)
    if found["chosen"] is None:
        reasons = "; ".join(f"{item['program']}: {item['reason']}" for item in found["programs"])
        raise CellFailed("no_program", f"no program of {cell.backend} trains this cell as it is to be: {reasons}")
    return found


def with_program(cell: Cell, program: str) -> Cell:
    """The cell as that program runs it."""
    return replace(cell, execution=changed(cell.execution, program=program))


def _settled(cell: Cell) -> str | None:
    """Why there is nothing to choose."""
    execution = cell.execution
    if execution.tier != "tuned":
        return f"the {execution.tier} tier has one program"
    if execution.program != "auto":
        return "execution.program says which"
    return "execution.compile says which" if execution.compile != "auto" else None


@dataclass
class _Pilot:
    """One backend's programs for one cell, one after the other."""

    cell: Cell
    worker: Worker
    tell: OnEvent
    jobs: tuple[str, str]
    timeout: float

    def __call__(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="harness-pilot-") as folder:
            base = Path(folder) / "lock-step.npz"
            about = self._run(self.jobs[0], {"file": str(base)}).unwrap()
            reference = read_trajectory(base)
            entries: list[dict[str, Any]] = []
            for number, name in enumerate(about["programs"]):
                self.tell({"event": "pilot", "backend": self.cell.backend, "program": name, "index": number + 1,
                           "of": len(about["programs"])})
                best = min((item["step_seconds"] for item in entries if item["accepted"]), default=None)
                file = Path(folder) / f"{number}.npz"
                result = self._run(self.jobs[1], {"program": name, "file": str(file), "best": best,
                                                     "speed_by": about["speed_by"]})
                entries.append(_entry(name, result, file, reference, about["rounds_in_float32"]))
        _break_even(entries)
        accepted = [item for item in entries if item["accepted"]]
        chosen = min(accepted, key=lambda item: item["step_seconds"], default=None)
        left_out = [{"program": name, "accepted": False, "reason": reason, **NOT_TIMED}
                    for name, reason in about["refused"].items()]
        return {"chosen": chosen and chosen["program"], "programs": entries + left_out,
                "speed_by": about["speed_by"], "steps": reference.steps, "versions": about["versions"]}

    def _run(self, function: str, more: dict[str, Any]) -> JobResult:
        arguments = {"cell": self.cell.to_data(), "backend": self.cell.backend, **more}
        return self.worker.run(Job(function, arguments, cold=True), timeout=self.timeout)


def _entry(
    name: str, result: JobResult, file: Path, reference: Trajectory, rounds_in_float32: bool,
) -> dict[str, Any]:
    """What is recorded of one program."""
    if result.status != "done":
        failure = result.reason or {}
        first = str(failure.get("message", "")).strip().splitlines()[:1]
        return {"program": name, "accepted": False, "reason": f"{failure.get('kind')}: {' '.join(first)}", **NOT_TIMED}
    found = {**NOT_TIMED, **result.value["timed"]}
    reason, closest = result.value["reason"], None
    if reason is None:
        reason, closest = judged(reference, _program(file), rounds_in_float32)
    return {"program": name, "accepted": reason is None, "reason": reason, **found, "closest": closest}


def judged(reference: Trajectory, program: Program, rounds_in_float32: bool = False) -> tuple[str | None, float]:
    """(why a program is not the training in lock-step, None if it is; the largest part of its limit that it took)."""
    rung, _ = timed_rung(Pair(replace(reference, timed=program), reference, rounds_in_float32))
    closest = float(np.nan_to_num(rung.details.get("closest", 0.0), nan=FAR, posinf=FAR))
    if rung.status == PASSED:
        return None, closest
    if rung.failed:
        worst = rung.failed[0]
        return (f"it is another training: {worst.what} differs by {worst.difference:.2g}, "
                f"{worst.limit:.2g} is allowed"), closest
    return f"it could not be judged: {rung.reason}", closest


def _break_even(entries: list[dict[str, Any]]) -> None:
    """After how many steps a program has made up for what compiling it takes longer than compiling the first."""
    if not entries or entries[0]["step_seconds"] is None:
        return
    first = entries[0]
    for entry in entries:
        if entry["accepted"] and entry["step_seconds"] is not None:
            gain = first["step_seconds"] - entry["step_seconds"]
            extra = entry["compile_seconds"] - first["compile_seconds"]
            if entry is first or (extra <= 0 and gain >= 0):
                entry["break_even_steps"] = 0
            elif gain > 0:
                entry["break_even_steps"] = int(-(-extra // gain))


def _program(file: Path) -> Program:
    arrays = read_arrays(file)
    steps = tuple(int(step) for step in arrays["steps"])
    weights = [arrays[f"weight {index}"] for index in range(sum(name.startswith("weight ") for name in arrays))]
    return Program(str(arrays["name"]), steps, weights, arrays["losses"])


def _read(path: Path, machine: str) -> dict[str, Any] | None:
    """What an earlier run on this machine found; None where that is nothing, or not whole."""
    try:
        found: Any = strict_json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and found.get("schema") == SCHEMA and found.get("machine") == machine
    return found if whole and found.get("chosen") is not None else None


def _write(path: Path, found: dict[str, Any]) -> None:
    """The file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    temporary.write_text(strict_json.dumps(found) + "\n", encoding="utf-8")
    os.replace(temporary, path)
