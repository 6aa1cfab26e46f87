"""Finds the user's mistakes before any cell runs: every phase is compiled against its data, without a framework."""

from __future__ import annotations

from typing import Any

from harness.backends.contract import State
from harness.errors import SpecError
from harness.plan.compiler import compile_outputs, compile_variables
from harness.plan.finetune import model_of_phase
from harness.runner.dependencies import ordered
from harness.runner.identity import shared
from harness.runner.matrix import Cell, cells
from harness.runner.models import load_dataset
from harness.runner.pretrained import first_weights
from harness.spec.experiment import Experiment
from harness.spec.recipe import check_metrics
from harness.spec.remat import check_remat
from harness.training.run import Job, game_plan, phase_dataset, plan_phase, start_of_phase


def check(experiment: Experiment, *, with_data: bool = True) -> list[Cell]:
    """The cells of the experiment in the order in which they run, each found sound.

    with_data=False reads no data: names, axes, graphs and freeze patterns are checked, shapes and labels are
    not. Raises SpecError with file and line.
    """
    found = cells(experiment, with_data=with_data)
    if not found:
        raise SpecError("the matrix is empty: everything is excluded.", where=experiment.where("exclude"))
    seen: set[Any] = set()
    for cell in found:
        # Seed and backend change nothing about what fits what, nor do the rates of an optimizer.
        form = shared(cell).form
        if form not in seen:
            seen.add(form)
            try:
                check_cell(cell) if with_data else check_names(cell)
            except SpecError as error:
                raise error.at(f"{_file(experiment)}: model {cell.labels.get('model', cell.model_name)!r}") from None
    try:
        return [cell for cell, _ in ordered(found)]
    except SpecError as error:
        raise error.at(experiment.where("recipe", "phases")) from None


def check_cell(cell: Cell) -> None:
    """Compiles every phase of a cell as a training would. Raises SpecError or DataError."""
    job = _job(cell)
    if cell.recipe.deep_q_learning is not None:
        game_plan(job)
    spec, state = cell.model, None
    for index, phase in enumerate(cell.recipe.resolved_phases()):
        spec = model_of_phase(spec, phase)
        check_remat(spec, cell.execution.remat)
        state = start_of_phase(job, spec, phase, index, state)
        job.checkpoint_of = _giving(state)
        plan, _, _ = plan_phase(job, spec, phase, index, state, phase_dataset(job, phase))
        check_metrics(phase, [output.name for output in plan.outputs])
        state = State(state.weights, {}, state.iterations)


def check_names(cell: Cell) -> None:
    """What can be checked of the phases without data: freeze patterns, replaced layers, losses and metrics."""
    spec = cell.model
    for phase in cell.recipe.resolved_phases():
        spec = model_of_phase(spec, phase)
        check_remat(spec, cell.execution.remat)
        assert phase.loss is not None
        outputs = compile_outputs(spec, phase.loss, phase.loss_weights)
        compile_variables(spec, phase)
        check_metrics(phase, [output.name for output in outputs])


def _job(cell: Cell) -> Job:
    class Named:
        name = cell.backend

    backend: Any = Named()
    return Job(cell.model, cell.recipe, load_dataset(cell.data, cell.folder), backend, cell.execution, seed=cell.seed,
               dataset_of=lambda data: load_dataset(data, cell.folder), base=cell.folder, source=cell.data.source,
               weights=first_weights(cell.model, cell.recipe, cell.seed, cell.folder))


def _giving(state: State) -> Any:
    """A stand-in for the twin's checkpoint: it has the same weights by name and shape."""
    return lambda backend, phase: state


def _file(experiment: Experiment) -> str:
    return str(experiment.document.path) if experiment.document else f"experiment {experiment.name!r}"
