"""R0 to R4 of one phase: what is asked of both backends, and how what they answer is judged."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.certify.certificate import FAILED, SKIPPED, Curve, Finding, Phase, Rung
from harness.certify.limits import STEP_LIMIT
from harness.certify.localise import Scene, locate, of_trajectory
from harness.certify.rungs import Pair, check_plan, compare_forced, compare_steps, rounds_in_float32
from harness.certify.samples import Trajectory, read_trajectory
from harness.certify.signs import signs
from harness.certify.ties import SIGN_OF, tied_updates
from harness.certify.trajectories import WEIGHTS, timed_rung, trajectory_rung
from harness.certify.trajectories import Pair as TrajectoryPair
from harness.errors import HarnessError
from harness.records.array_file import read_arrays
from harness.runner.certifying import Setup, setup
from harness.runner.workers import Job, Worker
from harness.spec.explicit import explicit

if TYPE_CHECKING:
    from harness.runner.certify import Ladder

BACKENDS = ("tensorflow", "pytorch")
JOB = "harness.runner.certifying:certify_job"
# Of a second step's limits: both came to it by themselves.
SECOND_FACTOR = 10.0
# In the timed precision: the controls that go furthest.
TIMED_VARIANTS = ("one ulp 1", "one ulp after every step", "other seed")


class PhaseLadder:
    """R0 to R4 of one phase."""

    def __init__(self, ladder: Ladder, index: int, name: str) -> None:
        self.ladder, self.index, self.name = ladder, index, name
        self.made: Setup = setup(self._arguments("tensorflow", "float64"))
        self.plan = self.made.plan
        self.found: list[Rung] = []
        self.curves: list[Curve] = []
        self.signs: tuple[str, ...] = ()
        self.forced: Pair | None = None
        self.second: Pair | None = None
        self.at = 0
        self.until: int | None = None
        self.exact: TrajectoryPair | None = None
        self.timed: TrajectoryPair | None = None

    def climb(self) -> Phase:
        """The rungs in turn; those after one that failed are not run."""
        for name, work in (("R0", self._plan), ("R1", self._calls), ("R2", self._step), ("R3", self._trajectory),
                           ("R4", self._timed)):
            if name not in self.ladder.rungs:
                continue
            if self.ladder.finding is not None:
                self.found.append(Rung(name, SKIPPED, reason="a rung below it failed"))
                continue
            began = time.monotonic()
            rung = replace(work(), seconds=time.monotonic() - began)
            self.found.append(rung)
            self.ladder.tell({"event": "certified_rung", "phase": self.name, "rung": name, "status": rung.status})
            if rung.status == FAILED and self.ladder.finding is None:
                self.ladder.finding = self._located(rung)
                if self.ladder.diagnose and name != "R4":
                    self._diagnosed()
        if self.ladder.finding is None and self.exact is None and self._goes_on():
            self.run(BACKENDS[0], "trajectory", "trajectory", "float64", timed=False, variants=[],
                     next=str(self._following()))
        return Phase(self.name, tuple(self.found), tuple(self.curves), self.signs)

    def _goes_on(self) -> bool:
        return self.index + 1 < len(self.ladder.subject.datasets)

    def _following(self) -> Path:
        """Where the state lies that the next phase begins with."""
        return self.ladder.folder / f"start {self.index + 1}.safetensors"

    # -- the rungs

    def _plan(self) -> Rung:
        self.steps = self._traced(0, then=len(self.plan.tape) > 1)
        sides = {"tensorflow": self.steps.reference, "pytorch": self.steps.other}
        return check_plan(self.plan, self.made.state.weights, sides)

    def _calls(self) -> Rung:
        teacher = self._file("tensorflow", "trace 0")
        files = self._both("forced", step=0, teacher=str(teacher), name="forced 0")
        self.forced = Pair(*(read_arrays(path) for path in files))
        return compare_forced(self.plan, self.forced)

    def _step(self) -> Rung:
        """The first step, and the second: moving averages of weights, and what is kept from one step to the next, are
        not to be seen before."""
        rung = compare_steps(self.plan, self.steps)
        if rung.status == FAILED or self.second is None:
            return rung
        later = compare_steps(self.plan, self.second, factor=SECOND_FACTOR)
        if later.status == FAILED:
            self.steps, self.at = self.second, 1
            return later
        found = [item for item in (rung.worst, later.worst) if item is not None]
        return replace(rung, checked=rung.checked + later.checked,
                       worst=max(found, key=lambda item: item.nearness, default=None))

    def _trajectory(self) -> Rung:
        precision, timed = self.ladder.subject.execution.precision, "R4" in self.ladder.rungs
        if precision == "float64":
            self.exact = self.timed = self._played(precision, timed=timed)
        elif timed:
            # Both precisions side by side: TensorFlow's part takes many times as long as PyTorch's.
            with ThreadPoolExecutor(1) as pool:
                later = pool.submit(self._played, precision, timed=True, workers=self.ladder.spare,
                                    variants=TIMED_VARIANTS)
                self.exact = self._played("float64", timed=False)
                self.timed = later.result()
        else:
            self.exact = self._played("float64", timed=False)
        rung, curves = trajectory_rung(self.exact)
        if rung.status == FAILED and self._tied(rung):
            rung, curves = trajectory_rung(self.exact, until=self.until)
        self.curves += curves
        return rung

    def _tied(self, rung: Rung) -> bool:
        """Whether rounding decided the update at which the trainings part; then they are judged up to it."""
        step = int((rung.details.get("first") or {}).get("step") or 1) - 1
        if step < 1 or type(self.plan.optimizer).__name__ not in SIGN_OF:
            return False
        found = tied_updates(self.plan, self._traced(step))
        if found:
            self.until = step
            where = ", ".join(f"{count} of {name}" for name, count in found.items())
            self.ladder.notes.append(
                f"phase {self.name!r}: at step {step + 1} rounding decides the sign of some updates ({where}): the "
                "trajectories are compared up to there.")
        return bool(found)

    def _timed(self) -> Rung:
        precision = self.ladder.subject.execution.precision
        pair = self.timed or self._played(precision, timed=True, variants=TIMED_VARIANTS)
        untimed = [side.backend for side in pair.sides if side.timed is None]
        if untimed:
            return Rung("R4", SKIPPED, reason=f"the timed program of {' and '.join(untimed)} cannot be compared: "
                                              "it draws its own random numbers")
        rung, curves = timed_rung(pair, until=self.until)
        self.curves += curves
        self.signs = self._signs(pair)
        self.ladder.programs |= {side.backend: side.timed.name for side in pair.sides if side.timed is not None}
        return rung

    def _signs(self, rounded: TrajectoryPair | None) -> tuple[str, ...]:
        """The three signs of a mistake or of rounding. rounded: both trainings in the timed precision."""
        if self.exact is None:
            return ()
        exact, errors = _weights_curve(self.exact), None
        if rounded is not None and rounded.reference.dtype == "float32":
            errors = (exact.between[1], _weights_curve(rounded).between[1])
        return signs(exact, errors, self.plan.tape)

    def _played(
        self, precision: str, *, timed: bool, workers: Mapping[str, Worker] | None = None, **more: Any
    ) -> TrajectoryPair:
        """Both trainings in lock-step. In float64 the reference leaves the state that the next phase begins with."""
        execution = {**explicit(self.ladder.subject.execution), "precision": precision}
        name = f"trajectory {precision}"

        def run(backend: str) -> Trajectory:
            leaves = backend == BACKENDS[0] and precision == "float64" and self._goes_on()
            value = self.run(backend, "trajectory", name, precision, execution=execution, timed=timed,
                             workers=workers, **more,
                             **({"next": str(self._following())} if leaves else {}))
            self.ladder.notes += value["notes"]
            self.ladder.step_seconds[backend] = max(self.ladder.step_seconds.get(backend, 0.0), value["step_seconds"])
            return read_trajectory(self._file(backend, name))

        with ThreadPoolExecutor(len(BACKENDS)) as pool:
            reference, other = pool.map(run, BACKENDS)
        return TrajectoryPair(reference, other, rounds_in_float32(self.plan))

    # -- where they part

    def _diagnosed(self) -> None:
        """The signs of a training that differs; one that does not run so far has none."""
        with contextlib.suppress(HarnessError):
            variants = ["one ulp 1"]
            self.exact = self.exact or self._played("float64", timed=False, variants=variants)
            self.curves = self.curves or list(trajectory_rung(self.exact)[1])
            self.signs = self._signs(self._played("float32", timed=False, variants=variants))

    def _located(self, rung: Rung) -> Finding:
        scene = Scene(self.plan, self.name, self.at, self.steps, self.forced)
        if rung.name in ("R0", "R1", "R2"):
            return locate(rung, scene)
        first = rung.details.get("first") or {}
        step = max(int(first.get("step") or 1) - 1, 0)
        if rung.name == "R3":
            self.steps = self._traced(step)
            there = compare_steps(self.plan, self.steps, factor=self._allowance(step))
            if there.status == FAILED:
                return replace(locate(there, replace(scene, step=step, steps=self.steps)), rung="R3")
        return of_trajectory(rung, scene, step, first.get("weight"))

    def _allowance(self, step: int) -> float:
        """By how much more than a first step a later one may differ: the trainings are no longer in the same place."""
        apart = max((curve.limit[step] for curve in self.curves if curve.quantity == WEIGHTS), default=0.0)
        return max(1.0, 1e3 * apart / STEP_LIMIT)

    # -- the children

    def _traced(self, step: int, *, then: bool = False) -> Pair:
        files = self._both("trace", step=step, name=f"trace {step}", then=f"trace {step + 1}" if then else None)
        if then:
            self.second = Pair(*(read_arrays(self._file(backend, f"trace {step + 1}")) for backend in BACKENDS))
        return Pair(*(read_arrays(path) for path in files))

    def _both(
        self, action: str, *, name: str, precision: str = "float64", then: str | None = None, **more: Any
    ) -> list[Path]:
        """The action in both backends side by side; the files that they wrote, the reference's first."""
        def run(backend: str) -> Path:
            following: dict[str, Any] = {"then": str(self._file(backend, then))} if then else {}
            self.run(backend, action, name, precision, **more, **following)
            return self._file(backend, name)

        with ThreadPoolExecutor(len(BACKENDS)) as pool:
            return list(pool.map(run, BACKENDS))

    def run(
        self, backend: str, action: str, name: str, precision: str, workers: Mapping[str, Worker] | None = None,
        **more: Any,
    ) -> Any:
        """One action in one backend; what its job gave."""
        ladder = self.ladder
        arguments = {**self._arguments(backend, precision), "action": action,
                     "file": str(self._file(backend, name)), **ladder.extra, **more}
        value = (workers or ladder.workers)[backend].run(Job(ladder.jobs.get(backend, JOB), arguments)).unwrap()
        ladder.versions |= value.get("versions", {})
        return value

    def _arguments(self, backend: str, precision: str) -> dict[str, Any]:
        execution = {**explicit(self.ladder.subject.execution), "compile": "none", "program": "auto",
                     "tier": "tuned", "random": "tape"}
        return {"backend": backend, "folder": str(self.ladder.folder), "phase": self.index, "precision": precision,
                "steps": self.ladder.steps, "execution": execution,
                "rounded": self.ladder.subject.execution.dtype != "float64"}

    def _file(self, backend: str, name: str) -> Path:
        return self.ladder.folder / f"{backend} {self.index} {name}.npz"


def _weights_curve(pair: TrajectoryPair) -> Curve:
    return next(curve for curve in trajectory_rung(pair)[1] if curve.quantity == WEIGHTS)
