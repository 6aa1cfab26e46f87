"""A whole training: its phases one after the other, from a spec, a recipe and a dataset to a result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends.contract import Backend, Session, State, Weights
from harness.data.dataset import Dataset
from harness.data.games import make, spaces
from harness.data.text_prefix import on_host
from harness.errors import SpecError
from harness.plan.binding import Arrays, bind
from harness.plan.compiler import compile_phase
from harness.plan.deep_q import GamePlan, plan_games
from harness.plan.finetune import continued_slots, model_of_phase, starting_weights
from harness.plan.plan import Plan
from harness.records.inspection import Inspection
from harness.records.process import Clock, process_peak_bytes
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe, ResolvedPhase
from harness.training.checks import check_log
from harness.training.deep_q import Player, check_source
from harness.training.loop import PhaseLoop, PhaseRun, Progress, measured, metric_sets
from harness.training.state import read_state

# Training-mode predictions of one epoch are kept for Keras's training metrics up to this size; beyond it
# an epoch's log has no training metrics.
LARGEST_OUTPUTS = 512 * 2**20

CheckpointOf = Callable[[str, str], State]
DatasetOf = Callable[[Any], Dataset]
Inspect = Callable[[Session, Plan, ResolvedPhase, Dataset], Inspection | None]


@dataclass
class Training:
    """What a training left. model: the live native model. readback: what the framework says of its switches. games:
    those that were played, where the data is a game."""

    phases: list[PhaseRun]
    plans: list[Plan]
    test: dict[str, float] | None
    state: State
    checkpoints: dict[str, State]
    timing: dict[str, float]
    memory: dict[str, int | None]
    readback: dict[str, Any]
    model: Any
    notes: list[str] = field(default_factory=list)
    games: dict[str, Any] | None = None
    inspection: Inspection | None = None


@dataclass
class Job:
    """What is to be trained. batches, weights and state replace the plan's own choices where given:
    an index matrix [steps, batch], first weights, or weights with optimizer slots to go on from.

    checkpoint_of(backend, phase): the state that another backend's run of the same cell left after a phase.
    dataset_of(data): the dataset of a phase that has its own. source: where the data is from; a game is played anew.
    inspect: looks at the trained model, when all is timed.
    """

    spec: ModelSpec
    recipe: Recipe
    dataset: Dataset
    backend: Backend
    execution: Execution
    seed: int = 0
    batches: np.ndarray | None = None
    weights: Weights | None = None
    state: State | None = None
    checkpoint_of: CheckpointOf | None = None
    dataset_of: DatasetOf | None = None
    source: Any = None
    inspect: Inspect | None = None
    base: Path | None = None
    clock: Clock = time.perf_counter
    progress: Progress | None = None


def train(job: Job) -> Training:
    """Runs all phases. Raises SpecError for what cannot be done, CellFailed for a training that broke."""
    if job.recipe.deep_q_learning is not None:
        return train_on_games(job)
    began = job.clock()
    job = behind_the_host(job)
    readback = job.backend.configure(job.execution)
    result = Training([], [], None, State({}), {}, {}, {}, readback, None)
    spec, state = job.spec, job.state
    session: Session | None = None
    plan: Plan | None = None
    opened = 0.0
    for index, phase in enumerate(job.recipe.resolved_phases()):
        spec = model_of_phase(spec, phase)
        if phase.pretraining and job.backend.name != job.recipe.pretrained_in:
            continue  # the other backend's run of the same cell plays it
        state = start_of_phase(job, spec, phase, index, state)
        dataset = phase_dataset(job, phase)
        plan, train_arrays, validation = plan_phase(job, spec, phase, index, state, dataset)
        problems = job.backend.problems(plan)
        if problems:
            raise SpecError(" ".join(problems), where=f"model {spec.name!r} in {job.backend.name}")
        before = job.clock()
        if session is not None:
            session.close()
        session = job.backend.open(plan, state, train_arrays, job.execution)
        opened += job.clock() - before
        result.phases.append(PhaseLoop(session, plan, phase, train_arrays, validation, job.clock, job.progress)())
        result.plans.append(plan)
        state = session.state()
        result.checkpoints[phase.name] = state
    assert session is not None
    assert plan is not None
    assert state is not None
    result.test = test_metrics(job, session, plan, phase, dataset)
    result.state, result.model = state, session.model
    result.timing = {"open_seconds": opened, "first_step_seconds": result.phases[0].first_step_seconds,
                     "total_seconds": job.clock() - began}
    result.memory = {"peak_bytes": session.peak_bytes(), "process_peak_bytes": process_peak_bytes()}
    if job.inspect is not None:
        result.inspection = job.inspect(session, plan, phase, dataset)
    return result


def game_plan(job: Job) -> GamePlan:
    """The plan of deep Q-learning. Raises SpecError for a job that cannot be played."""
    source = check_source(job.source)
    if job.batches is not None or job.state is not None:
        raise SpecError("batches and optimizer slots of elsewhere do not go with deep_q_learning.")
    environment = make(source)
    actions = spaces(environment, source.environment)[1]
    environment.close()
    return plan_games(job.spec, job.recipe, job.execution, job.seed, actions=actions)


def train_on_games(job: Job) -> Training:
    """Deep Q-learning: one phase, whose test is the mean return of games without chance."""
    began = job.clock()
    readback, planned = job.backend.configure(job.execution), game_plan(job)
    if problems := job.backend.problems(planned.plan):
        raise SpecError(" ".join(problems), where=f"model {job.spec.name!r} in {job.backend.name}")
    (phase,) = job.recipe.resolved_phases()
    state = start_of_phase(job, job.spec, phase, 0, None)
    before = job.clock()
    player = Player(job.backend, planned, job.source, job.execution, state, job.clock, job.progress)
    opened = job.clock() - before
    played = player()
    state = player.session.state()
    return Training(
        [played.phase], [planned.plan], {"mean_return": float(np.mean(played.test))}, state, {phase.name: state},
        {"open_seconds": opened, "first_step_seconds": played.phase.first_step_seconds,
         "total_seconds": job.clock() - began},
        {"peak_bytes": player.session.peak_bytes(), "process_peak_bytes": process_peak_bytes()}, readback,
        player.session.model, games=played.to_data(job.source.environment),
    )


def behind_the_host(job: Job) -> Job:
    """The same job for the model behind its layers of text, which the host computes here, once."""
    whole, dataset_of = job.spec, job.dataset_of
    spec, dataset = on_host(whole, job.dataset)
    if dataset_of is None:
        return replace(job, spec=spec, dataset=dataset)
    return replace(job, spec=spec, dataset=dataset, dataset_of=lambda data: on_host(whole, dataset_of(data))[1])


def start_of_phase(job: Job, spec: ModelSpec, phase: ResolvedPhase, index: int, before: State | None) -> State:
    """Weights, slots and iterations with which a phase begins."""
    weights = before.weights if before else job.weights
    if weights is None and job.recipe.weights is not None:
        raise SpecError("the recipe's weights were not read.", where=f"weights: {job.recipe.weights}")
    if phase.start_from in ("tensorflow", "pytorch"):
        if phase.start_from != job.backend.name and index > 0:
            if job.checkpoint_of is None:
                raise SpecError(f"start_from: {phase.start_from} needs that backend's run of the same cell.",
                                where=f"phase {phase.name!r}", hint="Run both backends in one experiment.")
            before = job.checkpoint_of(phase.start_from, job.recipe.resolved_phases()[index - 1].name)
            weights = before.weights
    elif phase.start_from != "previous":
        path = Path(phase.start_from)
        weights = read_state(path if path.is_absolute() or job.base is None else job.base / path).weights
    weights = starting_weights(spec, phase, index, job.seed, weights)
    goes_on = before is not None and (phase.continues_optimizer or (index == 0 and job.state is not None))
    if goes_on:
        assert before is not None
        return State(weights, continued_slots(spec, phase, before.slots), before.iterations)
    return State(weights)


def phase_dataset(job: Job, phase: ResolvedPhase) -> Dataset:
    """The phase's own dataset, or the run's; split "validation" trains on the validation set."""
    dataset = job.dataset
    if phase.data is not None:
        if job.dataset_of is None:
            raise SpecError("this phase has its own data, which this run cannot load.", where=f"phase {phase.name!r}")
        dataset = job.dataset_of(phase.data)
    if phase.split == "validation":
        if dataset.validation is None:
            raise SpecError("the phase trains on the validation split, but the data has none.",
                            where=f"phase {phase.name!r}", hint="Give data.split.validation.")
        # What was the validation set is trained on: measuring on it would say nothing.
        dataset = replace(dataset, train=dataset.validation, validation=None)
    return dataset


def plan_phase(
    job: Job, spec: ModelSpec, phase: ResolvedPhase, index: int, state: State, dataset: Dataset,
) -> tuple[Plan, Arrays, Arrays | None]:
    """The plan, and the splits bound to the model."""
    dtype = job.execution.dtype
    examples = dataset.train.examples
    weighted = dataset.train.sample_weight is not None or bool(phase.class_weight)
    plan = compile_phase(
        spec, phase, index=index, examples=examples, seed=job.seed, dtype=dtype, first_iteration=state.iterations,
        batches=job.batches, collect_outputs=False, weighted=weighted,
    )
    if job.execution.tier == "idiomatic" and any(variable.multiplier != 1 for variable in plan.trainable):
        raise SpecError("the idiomatic tier has no learning-rate multipliers: model.fit has none.",
                        where=f"phase {phase.name!r}", hint="Use execution.tier: tuned.")
    # The idiomatic tier is timed as the tutorials write it: nothing is collected on the way.
    if job.execution.tier == "tuned" and wants_outputs(plan, phase):
        plan = replace(plan, collect_outputs=True)
    train_arrays = bind(dataset.train, spec, plan.outputs, dtype, class_weight=phase.class_weight, where="train split")
    validation = None
    if dataset.validation is not None and dataset.validation.examples:
        validation = bind(dataset.validation, spec, plan.outputs, dtype, where="validation split")
    check_log(plan, metric_sets(plan, phase), phase, train_arrays, validation)
    return plan, train_arrays, validation


def wants_outputs(plan: Plan, phase: ResolvedPhase) -> bool:
    """True if there are training metrics, and an epoch's predictions are small enough to keep."""
    if not any(item.metrics for item in metric_sets(plan, phase).values()):
        return False
    longest = max(stop - start for start, stop in plan.tape.epoch_bounds()) * plan.tape.indices.shape[1]
    size = 0
    for output in plan.outputs:
        shape = plan.spec.tensors[output.node][1:]
        if None in shape:
            return False
        size += longest * int(np.prod([value or 1 for value in shape])) * np.dtype(plan.dtype).itemsize
    return size <= LARGEST_OUTPUTS


def test_metrics(
    job: Job, session: Session, plan: Plan, phase: ResolvedPhase, dataset: Dataset,
) -> dict[str, float] | None:
    """Loss and metrics of the final weights on the test split, None if there is none."""
    if dataset.test is None or not dataset.test.examples:
        return None
    arrays = bind(dataset.test, plan.spec, plan.outputs, plan.dtype, where="test split")
    assert phase.batch_size is not None
    loss, outputs = session.evaluate(arrays, max(phase.batch_size, 256))
    return {"loss": loss} | measured(plan, metric_sets(plan, phase), outputs, arrays)
