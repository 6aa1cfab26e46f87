"""What a worker's child does for a half of a block: plans as a cell does, reads the conditions back, measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.backends.contract import Backend, State
from harness.errors import SpecError
from harness.measure.ceiling import numpy_ceiling
from harness.measure.efficiency import efficiency
from harness.measure.energy import meter_for
from harness.measure.half import HalfJob, Meter, measure_half
from harness.measure.peaks import peak_of_conditions
from harness.plan.binding import Arrays, bind
from harness.plan.finetune import model_of_phase
from harness.plan.plan import Plan
from harness.runner.compiled import is_warm
from harness.runner.disturbance import Reading, between, reading
from harness.runner.matrix import Cell
from harness.runner.pretrained import first_weights
from harness.spec.flops import training_work
from harness.spec.timing import Timing
from harness.training.run import Job, behind_the_host, phase_dataset, plan_phase, start_of_phase

# A framework's products may be faster than NumPy's; a window without a barrier is faster by orders of magnitude.
CPU_SLACK = 3.0
WARM = "what earlier jobs compiled was there to be taken over (timing.cold_blocks)"


def conditions_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Under which conditions this process would time the cell. arguments: those of `timing_job`."""
    cell, backend = played(arguments)
    backend.configure(cell.execution)
    return backend.conditions(cell.execution)


def timing_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Times one half: {"half": measure.half's, "machine": what else used the machine during its window}.

    arguments: {"cell": Cell.to_data(), "backend": which one plays it, "timing": the Timing in plain data, "block": its
    number, "ceiling": what `ceiling_job` measured, or None}. Raises CellFailed, SpecError.
    """
    cell, backend = played(arguments)
    backend.configure(cell.execution)
    # Before anything else computes: the threads of NumPy's BLAS spin for a while, and the probe would count them.
    conditions, ceiling = backend.conditions(cell.execution), arguments.get("ceiling")
    if ceiling is not None and ceiling.get("precision", "float32") != cell.execution.compute_dtype:
        ceiling = None  # NumPy multiplies in no half type
    subject = subject_of(cell, backend)
    timing = Timing.parse(arguments["timing"])
    assert timing is not None
    warm = is_warm()
    watch = WindowWatch(meter_for(str(conditions.get("device", "cpu"))))
    half = measure_half(HalfJob(
        backend, subject.plan, subject.state, subject.train, cell.execution, timing, conditions=conditions,
        evaluation=subject.evaluation, flops_per_step=subject.flops_per_step, ceiling=_bound(conditions, ceiling),
        meter=watch, end_to_end=timing.end_to_end, tell=emit))
    if half["flops_per_step"] is None:
        half["flops_per_step_reason"] = "the FLOPs of a step cannot be told from the spec"
    half |= taken_over(half, warm)
    half |= efficiency(half, ceiling=ceiling, cost_per_hour=timing.cost_per_hour)
    return {"half": half, "machine": watch.found}


def taken_over(half: Mapping[str, Any], warm: bool) -> dict[str, Any]:
    """What a half says of compiling: "compile_cache" is "cold" where it compiled everything itself, "warm" where
    Inductor could take over what earlier jobs compiled, null where nothing takes over anything. Seconds of a warm
    half stand under other names, for they are no times of compiling."""
    if (half.get("compilation") or {}).get("compiler") != "inductor":
        return {"compile_cache": None}
    if not warm:
        return {"compile_cache": "cold"}
    found: dict[str, Any] = {"compile_cache": "warm"}
    for name in ("compile_seconds", "first_step_seconds"):
        found |= {name: None, f"{name}_reason": WARM, f"warm_{name}": half[name]}
    return found


def ceiling_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """The rate of this CPU's fastest large matrix product. arguments: those of `timing_job`."""
    execution = Cell.from_data(arguments["cell"]).execution
    return numpy_ceiling(execution.dtype, execution.threads).to_data()


def _bound(conditions: Mapping[str, Any], ceiling: Mapping[str, Any] | None) -> float | None:
    """FLOP/s that this half cannot exceed: a GPU's data sheet, or far beyond what NumPy reaches on this CPU."""
    if ceiling is not None:
        return CPU_SLACK * float(ceiling["flops_per_second"])
    return peak_of_conditions(conditions).flops_per_second


def played(arguments: dict[str, Any]) -> tuple[Cell, Backend]:
    from harness.backends import load_backend

    return Cell.from_data(arguments["cell"]), load_backend(arguments["backend"])


@dataclass(frozen=True)
class TimedSubject:
    """What is timed: the first phase of a cell. state: its first weights. evaluation: the split that is evaluated.
    flops_per_step: of a full batch, None where the spec does not tell."""

    plan: Plan
    state: State
    train: Arrays
    evaluation: Arrays | None
    flops_per_step: int | None


def subject_of(cell: Cell, backend: Backend) -> TimedSubject:
    """Plans the cell's first phase as its training does, its data loaded. Raises SpecError for what cannot be done."""
    from harness.runner.models import load_dataset

    job = behind_the_host(Job(
        cell.model, cell.recipe, load_dataset(cell.data, cell.folder), backend, cell.execution, seed=cell.seed,
        base=cell.folder, dataset_of=lambda data: load_dataset(data, cell.folder),
        weights=first_weights(cell.model, cell.recipe, cell.seed, cell.folder)))
    phase = job.recipe.resolved_phases()[0]
    spec = model_of_phase(job.spec, phase)
    state = start_of_phase(job, spec, phase, 0, None)
    dataset = phase_dataset(job, phase)
    plan, train, evaluation = plan_phase(job, spec, phase, 0, state, dataset)
    problems = backend.problems(plan)
    if problems:
        raise SpecError(" ".join(problems), where=f"model {spec.name!r} in {backend.name}")
    if evaluation is None and dataset.test is not None and dataset.test.examples:
        evaluation = bind(dataset.test, plan.spec, plan.outputs, plan.dtype, where="test split")
    work = training_work(plan.spec, plan.tape.indices.shape[1],
                         sizes={name: array.shape[1:] for name, array in train.x.items()})
    return TimedSubject(replace(plan, collect_outputs=False), state, train, evaluation,
                        None if work is None else work.step)


@dataclass
class WindowWatch:
    """Stands around the timed window as its meter of energy does: reads what else uses the machine meanwhile.

    meter: the one that measures energy, if there is one. found: of the last window, see `disturbance.between`.
    """

    meter: Meter | None = None
    found: dict[str, Any] | None = None
    _began: Reading | None = field(default=None, repr=False)

    def start(self) -> None:
        self._began = reading()
        if self.meter is not None:
            self.meter.start()

    def stop(self) -> dict[str, Any]:
        """The energy of the window, as the meter gives it."""
        energy = None if self.meter is None else self.meter.stop()
        assert self._began is not None
        self.found = between(self._began, reading())
        return energy or {"joules": None, "seconds": self.found["seconds"], "reason": "energy was not measured"}
