"""One block: the two halves of a setting back to back, each in a fresh process, and whether they may be compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.records.blocks import DONE, DROPPED, FAILED, Block, blocks_of
from harness.runner.cell import now
from harness.runner.disturbance import is_throttled, load_average, spoiled
from harness.runner.largest_batch import JOB as LARGEST_BATCH_JOB
from harness.runner.largest_batch import memory_cap, search
from harness.runner.matrix import Cell
from harness.runner.pilot import chosen_program, with_program
from harness.runner.workers import Job, JobResult, Worker
from harness.spec.execution import Execution
from harness.spec.explicit import explicit
from harness.spec.timing import Timing

TIMING_JOB, CONDITIONS_JOB = "harness.runner.timing:timing_job", "harness.runner.timing:conditions_job"
CEILING_JOB = "harness.runner.timing:ceiling_job"
# What a half may take at most, in seconds, beside its warm-up: compiling, the window, inference, evaluation.
LONGEST_HALF = 1800.0
UNFAIR = "unfair"
OnEvent = Callable[[dict[str, Any]], None]
Pilot = Callable[[Cell, str, Path, Worker, str, OnEvent], dict[str, Any]]
# backend -> its half, or its conditions alone where there is nothing else yet.
Conditions = Mapping[str, Mapping[str, Any]]
Unfairness = Callable[[Execution, Conditions], list[dict[str, Any]]]


@dataclass(frozen=True)
class Pair:
    """A setting that two backends run. id: of the setting. cells: backend -> the cell whose seed is timed.
    content: what stands in the block's file as "cell"."""

    id: str
    title: str
    cells: Mapping[str, Cell]
    content: Mapping[str, Any]

    @property
    def backends(self) -> tuple[str, str]:
        first, second = self.cells
        return first, second

    @property
    def execution(self) -> Execution:
        return self.cells[self.backends[0]].execution


def what_is_unfair(wanted: Execution, found: Conditions) -> list[dict[str, Any]]:
    """What keeps two halves from being comparable (measure/parity.py): the fields of Unfair, and "message"."""
    from dataclasses import asdict

    from harness.measure.parity import unfair

    return [{"message": str(item), **asdict(item)} for item in unfair(wanted, found)]


def fastest_program(
    cell: Cell, setting: str, out: Path, worker: Worker, machine: str, tell: OnEvent,
) -> dict[str, Any]:
    """The pilot (runner/pilot.py)."""
    return chosen_program(cell, setting, out, worker, machine=machine, tell=tell)


@dataclass
class Halves:
    """What runs the halves. worker_of: cell -> the worker that plays it. function, conditions, ceiling: jobs of the
    workers (None: no ceiling is measured); unfair: judges the conditions of both halves; pilot: chooses the program of
    the tuned tier (None: left to the backend). out: the store's folder. machine: this machine's slug. chosen, known,
    ceilings: what was found out once in this run; memory: what a try of a batch may use on a CPU, the same in both
    backends. largest_batch: the job that tries one. cold: every half compiles anew, not those of the first blocks
    alone.
    """

    timing: Timing
    worker_of: Callable[[Cell], Worker]
    machine: str
    out: Path
    tell: OnEvent
    function: str = TIMING_JOB
    conditions: str = CONDITIONS_JOB
    ceiling: str | None = CEILING_JOB
    unfair: Unfairness = what_is_unfair
    pilot: Pilot | None = fastest_program
    timeout: float | None = None
    chosen: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    known: dict[tuple[str, Execution], dict[str, Any]] = field(default_factory=dict)
    ceilings: dict[Execution, dict[str, Any] | None] = field(default_factory=dict)
    largest_batch: str = LARGEST_BATCH_JOB
    cold: bool = False
    memory: int | None = None

    def block(self, pair: Pair, number: int) -> dict[str, Any]:
        """Times block `number` and gives what its file holds, whatever became of it. It is dropped for what was
        recorded beside it, never for its value."""
        names = pair.backends
        order = list(names if self.timing.first(number) == 0 else names[::-1])
        block: dict[str, Any] = {
            "setting": pair.id, "number": number, "order": order, "status": FAILED, "reason": None,
            "cell": dict(pair.content), "seed": pair.cells[order[0]].seed, "started_at": now(), "finished_at": None,
            "machine": {"machine": self.machine, "load_before": load_average()}, "programs": {}, "halves": {},
        }
        reason = self._prepare(pair, block)
        began, spent = time.monotonic(), {}
        for backend in order if reason is None else ():
            result = self._run(self.function, self._played(pair, backend), pair, number)
            if result.status != "done":
                reason = _short(result.reason, backend)
                break
            block["halves"][backend], spent[backend] = result.value["half"], result.value.get("machine")
        block["reason"] = reason or self._verdict(pair, block)
        if block["reason"] is None:
            block["status"], block["reason"] = self._outcome(spent, pair.execution.threads)
        block["machine"] |= {"load_after": load_average(), **_disturbances(spent, self.timing)}
        return {**block, "finished_at": now(), "seconds": time.monotonic() - began}

    def search_batches(self, pair: Pair, block: dict[str, Any]) -> bool:
        """Searches for the largest batch of each backend, once in a setting, and puts it into the halves of the block
        after which it is done; whether it changed the block."""
        if block["status"] != DONE or not self.timing.largest_batch:
            return False
        for backend in pair.backends:
            memory = block["halves"][backend].setdefault("memory", {})
            found = self._searched(pair, backend)
            if found is not None:
                memory |= {"largest_batch": None, "largest_batch_reason": f"it was searched for in block {found}"}
                continue
            if self.memory is None:
                self.memory = memory_cap(self.timing.largest_batch_bytes)
            self.tell({"event": "half", "setting": pair.id, "backend": backend, "stage": "largest batch"})
            cell = self._played(pair, backend)
            run = partial(self._run, self.largest_batch, cell, pair, block["number"])
            memory.pop("largest_batch_reason", None)
            device = str(self.known.get((backend, cell.execution), {}).get("device", "cpu"))
            memory |= search(run, self.memory, self.timing.largest_batch_seconds, on_gpu=device.startswith("gpu"))
        return True

    def _searched(self, pair: Pair, backend: str) -> int | None:
        """The block that has the largest batch of a backend already."""
        return next((
            block.number for block in blocks_of(self.out, pair.id)
            if block.status == DONE and block.machine.get("machine") == self.machine
            and (block.halves[backend].get("memory") or {}).get("largest_batch_search")), None)

    def _prepare(self, pair: Pair, block: dict[str, Any]) -> dict[str, Any] | None:
        """Chooses programs, reads conditions back and judges them, once in a run. Gives why nothing is timed."""
        for backend in block["order"]:
            try:
                block["programs"][backend] = self._choice(pair, backend)["chosen"]
            except HarnessError as error:
                return _short({"kind": getattr(error, "kind", "error"), "message": str(error)}, backend)
        reason = self._refusal(pair, block)
        if reason is not None and reason["kind"] == UNFAIR:
            # A busy machine can make a probe err; what is really unfair is so again in another process.
            for backend in block["order"]:
                self.known.pop((backend, self._played(pair, backend).execution), None)
            reason = self._refusal(pair, block)
        return reason

    def _refusal(self, pair: Pair, block: dict[str, Any]) -> dict[str, Any] | None:
        """Why the conditions forbid to time anything."""
        found: dict[str, dict[str, Any]] = {}
        for backend in block["order"]:
            cell = self._played(pair, backend)
            if (backend, cell.execution) not in self.known:
                result = self._run(self.conditions, cell, pair, block["number"])
                if result.status != "done":
                    return _short(result.reason, backend)
                self.known[backend, cell.execution] = result.value
            found[backend] = self.known[backend, cell.execution]
        reason = self._unfair(pair, found)
        if reason is not None:
            block["halves"] = {backend: {"conditions": conditions} for backend, conditions in found.items()}
            return {**reason, "before_timing": True}
        block["halves"] = {}
        if pair.execution not in self.ceilings:
            self.ceilings[pair.execution] = self._ceiling(pair, block, found)
        return None

    def _choice(self, pair: Pair, backend: str) -> dict[str, Any]:
        """What the pilot found of a setting's programs in that backend. Raises HarnessError if none will do."""
        cell = pair.cells[backend]
        if self.pilot is None or not self.timing.pilot:
            return {"chosen": cell.execution.program}
        key = (pair.id, backend)
        if key not in self.chosen:
            self.chosen[key] = self.pilot(cell, pair.id, self.out, self.worker_of(cell), self.machine, self.tell)
        return self.chosen[key]

    def _played(self, pair: Pair, backend: str) -> Cell:
        """The cell with its program settled."""
        cell = pair.cells[backend]
        program = self._choice(pair, backend)["chosen"]
        return cell if program == cell.execution.program else with_program(cell, program)

    def _ceiling(self, pair: Pair, block: Mapping[str, Any], found: Conditions) -> dict[str, Any] | None:
        """Of this CPU; None on a GPU, whose peak is stated, and where it cannot be measured."""
        backend = block["order"][0]
        if self.ceiling is None or not str(found[backend].get("device", "cpu")).startswith("cpu"):
            return None
        result = self._run(self.ceiling, pair.cells[backend], pair, block["number"])
        return result.value if result.status == "done" else None

    def _verdict(self, pair: Pair, block: dict[str, Any]) -> dict[str, Any] | None:
        """What is wrong with the two halves together."""
        reason = self._unfair(pair, block["halves"])
        missing = [name for name in block["order"] if Block(block).samples_per_second(name) is None]
        if reason is None and missing:
            return {"kind": "error", "message": f"{' and '.join(missing)}: the half has no timed window."}
        return reason

    def _unfair(self, pair: Pair, found: Conditions) -> dict[str, Any] | None:
        items = self.unfair(pair.execution, found)
        if not items:
            return None
        message = "; ".join(item["message"] for item in items)
        prefix = "" if message.upper().startswith(UNFAIR.upper()) else "UNFAIR: "
        return {"kind": UNFAIR, "message": f"{prefix}{message}", "items": items}

    def _outcome(self, spent: Mapping[str, Any], threads: int) -> tuple[str, dict[str, Any] | None]:
        causes = {backend: spoiled(found, threads, self.timing) for backend, found in spent.items() if found}
        said = [f"{backend}: {cause}" for backend, cause in causes.items() if cause]
        if not said or not self.timing.drop_disturbed:
            return DONE, None
        return DROPPED, {"kind": "disturbed", "message": "; ".join(said)}

    def _run(
        self, function: str, cell: Cell, pair: Pair, number: int, more: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> JobResult:
        """Runs a job of a half. more: arguments besides; seconds: what it may take, None for what a half may."""
        log = self.out / "logs" / "blocks" / pair.id / f"{number:04d}-{cell.backend}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        worker = self.worker_of(cell)
        arguments = {"cell": cell.to_data(), "backend": worker.backend, "timing": explicit(self.timing)["timing"],
                     "block": number, "ceiling": self.ceilings.get(pair.execution), **(more or {})}
        cold = function == self.function and (self.cold or number < self.timing.cold_blocks)
        timeout = seconds or self.timeout or LONGEST_HALF + self.timing.warmup_seconds
        return worker.run(
            Job(function, arguments, log.resolve(), cold),
            lambda event: self.tell({**event, "event": "half", "setting": pair.id, "backend": cell.backend}), timeout)


def _short(reason: Mapping[str, Any] | None, backend: str) -> dict[str, Any]:
    found = reason or {"kind": "error", "message": "the half ended without a word."}
    kind = "error" if found["kind"] == "spec" else found["kind"]
    return {"kind": kind, "message": f"{backend}: {found['message']}", "backend": backend}


def _disturbances(spent: Mapping[str, Mapping[str, Any] | None], timing: Timing) -> dict[str, Any]:
    """What the halves had beside them, together and each, and what they might have had."""
    known: Sequence[Mapping[str, Any]] = [found for found in spent.values() if found]
    foreign = [found.get("foreign_cpu_seconds") for found in known]
    throttled = [is_throttled(found, timing) for found in known]
    return {
        "foreign_cpu_seconds": None if not foreign or None in foreign else sum(foreign),  # type: ignore[arg-type]
        "throttled": True if True in throttled else False if throttled and None not in throttled else None,
        "limits": {name: getattr(timing, name) for name in ("foreign_share", "steal_share", "throttled_share")},
        "halves": dict(spent),
    }
