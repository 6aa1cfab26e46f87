"""Slurm as an engine, through submitit: an order is a job of its own.

    <store>/slurm/      what submitit keeps of each job: the order, the answer, the job's output

submitit's executors "local" (processes on this machine) and "debug" (in this process) stand in for Slurm where one
says so: to try a matrix out, and in tests.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import SpecError
from harness.records.environment import usable_cores
from harness.runner.executors.contract import Outcome, Place, Request
from harness.runner.executors.node import perform, release

# Jobs in the queue at one time; Slurm's own limits are often not much higher.
IN_FLIGHT = 64
# Of a job, where --placement timeout_min does not say it: submitit's default is five.
MINUTES = 24 * 60
# submitit's own parameters for all kinds of cluster; the others are Slurm's.
SHARED = ("timeout_min", "mem_gb")
MANY = 2**20
POLL_SECONDS = 0.5


class SlurmEngine:
    """address: "slurm" (or None), "local" or "debug". placement: parameters of the jobs, as submitit calls them:
    partition, constraint, account, qos, timeout_min, mem_gb, gpus_per_node...

    Raises SpecError where there is no Slurm, or where it has no such parameter.
    """

    shares = True

    def __init__(self, store: Path, address: str | None, placement: Mapping[str, str]) -> None:
        import submitit

        self.submitit, self.kind = submitit, address or "slurm"
        if self.kind == "slurm" and shutil.which("sbatch") is None:
            raise SpecError("there is no Slurm here: sbatch is not found.", where="--executor slurm",
                            hint="Run it on a login node, or say --address local to try it on this machine.")
        given = {key: int(value) if value.isdecimal() else value for key, value in placement.items()}
        self.gpus = given.pop("gpus_per_node", 0)
        self.parameters = {key if key in SHARED else f"slurm_{key}": value for key, value in given.items()}
        self.executor = submitit.AutoExecutor(folder=store.resolve() / "slurm", cluster=self.kind)
        self._set(Request(1))

    def places(self) -> list[Place]:
        """One: which node, is Slurm's to choose."""
        cpus = MANY if self.kind == "slurm" else usable_cores()
        return [Place(self.kind, cpus, int(self.gpus))]

    def room(self, request: Request, places: Sequence[Place]) -> int:
        if not places:
            return 0
        if self.kind == "slurm":
            return IN_FLIGHT
        return 1 if self.kind == "debug" or request.cpus is None else places[0].cpus // max(1, request.cpus)

    def submit(self, order: Mapping[str, Any], request: Request, place: Place | None) -> Hashable:
        self._set(request)
        handle: Hashable = self.executor.submit(perform, dict(order))
        return handle

    def ended(self, handles: Collection[Hashable], seconds: float) -> list[Hashable]:
        jobs: list[Any] = list(handles)
        if self.kind == "debug":
            return jobs[:1]
        until = time.monotonic() + seconds
        while True:
            found = [job for job in jobs if job.done()]
            if found or time.monotonic() >= until:
                return found
            time.sleep(POLL_SECONDS)

    def outcome(self, handle: Hashable) -> Outcome:
        job: Any = handle
        errors = self.submitit.core.utils
        error = job.exception()
        if error is None:
            return Outcome(value=job.result())
        if self.kind == "debug" or isinstance(error, errors.FailedJobError):
            return Outcome(error=_said(error))
        state = str(job.state)
        if state.startswith(("TIMEOUT", "OUT_OF_ME")):
            # It would end so again.
            kind = "timeout" if state.startswith("TIMEOUT") else "out_of_memory"
            return Outcome(error=f"Slurm ended the job: {state}", kind=kind)
        return Outcome(lost=f"the job {job.job_id} ended without an answer ({state}).")

    def cancel(self, handles: Collection[Hashable]) -> None:
        jobs: list[Any] = list(handles)
        for job in jobs:
            job.cancel(check=False)

    def close(self) -> None:
        if self.kind == "debug":
            release()

    def _set(self, request: Request) -> None:
        """A job that wants its node to itself asks Slurm for that; its cores are then all of the node's."""
        wanted: dict[str, Any] = {"timeout_min": MINUTES, "name": "harness", **self.parameters}
        if request.gpus:
            wanted["gpus_per_node"] = request.gpus
        if request.cpus is None:
            wanted["slurm_exclusive"] = True
        else:
            wanted |= {"cpus_per_task": max(1, request.cpus), "slurm_exclusive": False}
        try:
            self.executor.update_parameters(**wanted)
        except (NameError, TypeError, AssertionError, ValueError) as error:
            raise SpecError(f"submitit does not take this: {str(error).splitlines()[0]}", where="--placement",
                            hint="Parameters are called as in submitit: partition, constraint, timeout_min, mem_gb..."
                            ) from None


def _said(error: BaseException) -> str:
    """What a job raised, without the trace around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith((" ", "-"))]
    named = [line for line in lines if "Error:" in line]
    return (named or lines or [type(error).__name__])[-1 if named else 0]
