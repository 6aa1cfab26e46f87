"""The largest batch that trains, in one backend: every size is tried in a process of its own, and kills no other.

A try opens the cell's own plan at that batch size, with the cell's data repeated as often as a batch needs, and trains
a few steps. On a CPU it may use so much memory and no more (RLIMIT_DATA: what the process has for itself, the framework
included); on a GPU the device's own memory is the limit. Sizes are doubled until one does not train, then the gap is
halved (measure/memory.py).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.errors import SpecError
from harness.measure.memory import LARGEST, largest_batch
from harness.measure.system import System
from harness.plan.plan import Plan, Tape
from harness.records.process import process_peak_bytes
from harness.runner.workers import JobResult

JOB = "harness.runner.largest_batch:try_job"
METHOD = {
    "cpu": "RLIMIT_DATA of a process of its own: private memory, the framework included",
    "gpu": "the memory of the device, in a process of its own",
}
START = 32
# How far below the truth the answer may be.
RESOLUTION = 1 / 32
# Of the memory that is free when the search begins.
SHARE = 0.8
# Steps that a try trains; the optimizer's slots are there after the first.
STEPS = 3
# How a try ends that found no room: the allocator says so, or the process is gone (a failed allocation aborts it).
NO_ROOM = ("out_of_memory", "killed")
# Tries a size: (arguments beside the cell, seconds) -> what became of it.
Run = Callable[[dict[str, Any], float], JobResult]


class _OutOfTimeError(Exception):
    """The search has taken what it may."""


def memory_cap(wanted: int | None) -> int | None:
    """Bytes that a try may use on a CPU; None where this machine does not tell what is free."""
    left = System().memory_left()
    return wanted or (None if left is None else int(SHARE * left))


def search(
    run: Run, cap: int | None, seconds: float, *, on_gpu: bool = False, limit: int = LARGEST,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """The largest batch: {"largest_batch", "largest_batch_reason" where there is none, "largest_batch_search"}.

    run: makes one try. cap: bytes that it may use on a CPU. seconds: what the whole search may take. What stops a
    search before memory does makes no largest batch, and the reason says how far it came.
    """
    tries = _Tries(run, None if on_gpu else cap, clock() + seconds, clock)
    found, stopped = None, None
    try:
        found = largest_batch(tries, START, limit=limit, resolution=RESOLUTION)
    except _OutOfTimeError:
        stopped = f"the search was over after {seconds:g} s (timing.largest_batch_seconds)"
    except _BrokenTryError as error:
        stopped = str(error)
    if found is not None and found.at_limit:
        stopped = "larger ones were not tried"
    about = {"method": METHOD["gpu" if on_gpu else "cpu"], "memory_bytes": tries.cap, "resolution": RESOLUTION}
    return _told(tries, stopped, about)


def _told(tries: _Tries, stopped: str | None, about: dict[str, Any]) -> dict[str, Any]:
    best = max((item["batch"] for item in tries.made if item["trained"]), default=None)
    reason = stopped
    if stopped is not None and best is not None:
        reason = f"at least {best}: {stopped}"
    elif stopped is None and best is None:
        reason = "not even a batch of one trains in this memory"
    about |= {"trained": best, "tried": tries.made}
    if reason is not None:
        return {"largest_batch": None, "largest_batch_reason": reason, "largest_batch_search": about}
    return {"largest_batch": best, "largest_batch_search": about}


class _BrokenTryError(Exception):
    """The first try failed, and not for want of memory: what is wrong has nothing to do with the size."""


@dataclass
class _Tries:
    """Tries sizes until time is up. made: every try, in order."""

    run: Run
    cap: int | None
    deadline: float
    clock: Callable[[], float]
    made: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, batch: int) -> bool:
        left = self.deadline - self.clock()
        if left <= 0:
            raise _OutOfTimeError
        began = self.clock()
        result = self.run({"batch": batch, "bytes": self.cap}, left)
        trained, reason = result.status == "done", result.reason or {}
        kind = None if trained else str(reason.get("kind"))
        self.made.append({"batch": batch, "trained": trained, "ended": kind, "seconds": self.clock() - began,
                          **(result.value or {})})
        if kind == "timeout":
            raise _OutOfTimeError
        # A framework may answer want of memory with any error: it counts as that once a smaller batch has trained.
        if kind not in (None, *NO_ROOM) and not any(item["trained"] for item in self.made):
            raise _BrokenTryError(f"a batch of {batch} failed: {kind}: {reason.get('message')}")
        return trained


def try_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Trains a few steps at a batch size, in a worker's child: {"peak_bytes", "process_peak_bytes"}.

    arguments: "cell" and "backend" as those of `timing_job`, "batch", "bytes" (of private memory, or None).
    """
    from harness.runner.timing import played, subject_of

    cell, backend = played(arguments)
    backend.configure(cell.execution)
    subject = subject_of(cell, backend)
    plan = with_batch(subject.plan, int(arguments["batch"]), len(subject.train))
    with limited(arguments["bytes"]):
        session = backend.open(plan, subject.state, subject.train, cell.execution)
        session.train(0, len(plan.tape))
        session.wait()
        session.collect()
        return {"peak_bytes": session.peak_bytes(), "process_peak_bytes": process_peak_bytes()}


def with_batch(plan: Plan, batch: int, examples: int) -> Plan:
    """The plan's first steps at another batch size, its examples over and over. Raises SpecError where the model fixes
    its own."""
    fixed = [item.shape[0] for item in plan.spec.inputs if item.shape[0] is not None]
    if fixed:
        raise SpecError(f"the model's batch size is fixed at {fixed[0]}.")
    steps = STEPS - 1 + (plan.optimizer.gradient_accumulation_steps or 1)
    tape = plan.tape
    indices = (np.arange(steps * batch) % examples).astype(tape.indices.dtype).reshape(steps, batch)
    chosen = np.arange(steps) % len(tape)
    return replace(plan, tape=Tape(
        indices, np.full(steps, batch, tape.sizes.dtype), tape.learning_rates[chosen],
        np.zeros(steps, tape.epochs.dtype), tape.keys[chosen]))


@contextlib.contextmanager
def limited(size: int | None) -> Iterator[None]:
    """At most so many bytes of private memory in this process, from now on to the end of the block; None: no limit."""
    if size is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
