"""harness.certify: the ladder of one model, recipe and precision, from the plan to a Certificate.

Both backends work side by side, each in children of its own; what they find goes through a folder, and the judging is
done here, without a framework.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.certify.certificate import (
    DIFFERENT,
    NOT_CERTIFIED,
    PASSED,
    SAME_TO_ROUNDING,
    Certificate,
    Finding,
    Phase,
)
from harness.errors import HarnessError, SpecError
from harness.runner.certified_subject import Subject, settled_subject
from harness.runner.certifying import write_subject
from harness.runner.phase_ladder import BACKENDS, PhaseLadder
from harness.runner.workers import Worker
from harness.spec.execution import Execution
from harness.spec.explicit import explicit

LADDER = ("R0", "R1", "R2", "R3", "R4")
SECOND = "tensorflow, second"
STEPS = 50
OnEvent = Callable[[dict[str, Any]], None]


def certify(
    model: Any, recipe: Any = None, data: Any = None, *, execution: Any = None, seed: int = 0, steps: int = STEPS,
    batch: int | None = None, weights: Mapping[str, np.ndarray] | None = None, rungs: tuple[str, ...] = LADDER,
    on_event: OnEvent | None = None, jobs: Mapping[str, str] | None = None, extra: Mapping[str, Any] | None = None,
    workers: Mapping[str, Worker] | None = None, folder: Path | None = None, diagnose: bool = True,
) -> Certificate:
    """Proves that both frameworks train a model in the same way, or says where they part.

    model: a ModelSpec, a library name, a spec file. recipe: a Recipe or a mapping; one that fits the model where None.
    data: a source, a Dataset or (x, y) arrays; digits where they fit the model, else generated. execution: what is
    timed (R4): precision, tier, compilation. steps: of the trajectories. batch: in place of the recipe's. weights:
    the first ones; drawn from the seed where None. folder: that of relative paths. diagnose: whether trainings that
    differ are played on, for the signs of a mistake or of rounding. Raises SpecError, DataError.
    """
    began = time.monotonic()
    subject = settled_subject(model, recipe, data, seed, weights, folder, Execution.parse(execution), batch)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-certify-")))
        if workers is None:
            workers = stack.enter_context(both_workers())
        write_subject(place, subject.spec, subject.recipe, subject.datasets, subject.start, seed=seed,
                      batch=subject.batch)
        ladder = Ladder(subject, place, steps, rungs, on_event or (lambda event: None), workers, dict(jobs or {}),
                        dict(extra or {}), diagnose)
        ladder.climb()
    return ladder.certificate(time.monotonic() - began)


@dataclass
class Ladder:
    """The rungs of every phase, one after the other, until one fails."""

    subject: Subject
    folder: Path
    steps: int
    rungs: tuple[str, ...]
    tell: OnEvent
    workers: Mapping[str, Worker]
    jobs: dict[str, str]
    extra: dict[str, Any]
    diagnose: bool = True
    phases: list[Phase] = field(default_factory=list)
    finding: Finding | None = None
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    step_seconds: dict[str, float] = field(default_factory=dict)
    programs: dict[str, Any] = field(default_factory=dict)

    @property
    def spare(self) -> Mapping[str, Worker]:
        """The workers for what runs beside something else."""
        return {**self.workers, BACKENDS[0]: self.workers.get(SECOND, self.workers[BACKENDS[0]])}

    def climb(self) -> None:
        """All phases; a phase after one that failed is not run."""
        for index, phase in enumerate(self.subject.recipe.resolved_phases()):
            self.tell({"event": "certifying_phase", "phase": phase.name})
            try:
                self.phases.append(PhaseLadder(self, index, phase.name).climb())
                self.reason = _broken(self.phases[-1])
            except HarnessError as error:
                if isinstance(error, SpecError):
                    raise
                self.reason = f"phase {phase.name!r}: {error}"
            if self.finding is not None or self.reason is not None:
                return

    def certificate(self, seconds: float) -> Certificate:
        """What was found."""
        subject = self.subject
        passed = [{rung.name for rung in phase.rungs if rung.status == PASSED} for phase in self.phases]
        missing = [name for name in LADDER if not all(name in names for names in passed)]
        if self.finding is not None:
            label = DIFFERENT
        elif self.reason is not None or missing:
            label = NOT_CERTIFIED
            self.reason = self.reason or f"{', '.join(missing)} {'was' if len(missing) == 1 else 'were'} not run"
        else:
            label = SAME_TO_ROUNDING
        step = max(self.step_seconds.values(), default=0.0)
        cost = {"seconds": seconds, "training_step_seconds": step, "steps_worth": seconds / step if step else 0.0}
        return Certificate(
            label, (BACKENDS[0], BACKENDS[1]), {
                "model": subject.spec.name, "digest": subject.spec.digest, "parameters": subject.spec.parameters,
                "recipe": explicit(subject.recipe), "data": subject.datasets[0].name, "seed": subject.seed,
                "examples": [dataset.train.examples for dataset in subject.datasets], "batch": subject.batch,
                "steps": self.steps, "execution": explicit(subject.execution), "programs": self.programs,
            }, tuple(self.phases), self.finding, self.reason, self.versions, cost,
            (*subject.notes, *dict.fromkeys(self.notes)))


def _broken(phase: Phase) -> str | None:
    """Why a training that became NaN in both is not looked at any further: nothing can go on from its weights."""
    return next((f"phase {phase.name!r}: {rung.reason}" for rung in phase.rungs if "not finite from" in rung.details),
                None)


@contextlib.contextmanager
def both_workers() -> Iterator[dict[str, Worker]]:
    """Workers for several certificates in a row: one for PyTorch, two for TensorFlow, which takes the longest."""
    with contextlib.ExitStack() as stack:
        made = {name: stack.enter_context(Worker(name)) for name in BACKENDS}
        made[SECOND] = stack.enter_context(Worker(BACKENDS[0]))
        for worker in made.values():
            worker.start()
        yield made
