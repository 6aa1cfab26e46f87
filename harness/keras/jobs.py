"""What the worker processes do for a Keras script: train one half, evaluate it, predict with it.

Each function is a job of harness.runner.workers: it takes plain arguments and gives back what JSON can hold;
arrays come and go as files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.backends import load_backend
from harness.backends.contract import Session, State
from harness.data import load
from harness.errors import SpecError
from harness.plan.binding import Arrays, bind, bind_inputs
from harness.plan.compiler import compile_phase
from harness.plan.plan import Plan
from harness.runner import cell as cells
from harness.runner.inspecting import inspector
from harness.runner.matrix import Cell
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe, ResolvedPhase
from harness.training.loop import measured, metric_sets
from harness.training.run import Job, train
from harness.training.state import read_state


def ready(arguments: dict[str, Any], emit: Any) -> bool:
    """Says that the framework is imported."""
    return True


def fit(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Trains one half from a state and writes its record.

    arguments: cell (Cell.to_data(); its data is the archive of arrays), start (checkpoint to go on from),
    folder (where the record goes).
    """
    cell = Cell.from_data(arguments["cell"])
    started = cells.now()
    dataset = load(cell.data, cell.folder)
    backend = load_backend(cell.backend)
    training = train(Job(cell.model, cell.recipe, dataset, backend, cell.execution, seed=cell.seed,
                         state=read_state(arguments["start"]), progress=emit,
                         inspect=inspector(backend, cell.execution, cell.seed)))
    payload = cells.done(cell, started, training, dataset, backend.versions())
    cells.save(Path(arguments["folder"]), payload, training)
    return {"id": cell.id}


def evaluate(arguments: dict[str, Any], emit: Any) -> dict[str, float]:
    """Loss and metrics of a half's weights, in inference mode, in the order of Keras's `evaluate`."""
    spec, phase, execution = _said(arguments)
    dataset = load({"arrays": arguments["data"]}, None)
    plan = _plan(spec, phase, dataset.train.examples, execution)
    arrays = bind(dataset.train, spec, plan.outputs, plan.dtype, where="evaluate")
    session = _open(arguments, plan, arrays, execution)
    loss, outputs = session.evaluate(arrays, arguments["batch_size"])
    results = {"loss": float(loss)} | {f"{name}_loss": part for name, part in session.part_losses.items()}
    return results | measured(plan, metric_sets(plan, phase), outputs, arrays)


def predict(arguments: dict[str, Any], emit: Any) -> list[str]:
    """Writes the outputs, in inference mode, into the archive arguments["out"]; returns their keys."""
    spec, phase, execution = _said(arguments)
    dtype = execution.dtype
    with np.load(arguments["data"]) as archive:
        x = bind_inputs({name: archive[name] for name in archive.files}, spec, dtype, where="predict")
    # A session wants a loss and targets; a prediction reads neither.
    plan = _plan(spec, phase, 1, execution)
    y = {output.name: np.zeros([size or 1 for size in spec.tensors[output.node]], dtype) for output in plan.outputs}
    session = _open(arguments, plan, Arrays({name: array[:1] for name, array in x.items()}, y), execution)
    outputs = session.predict(x, arguments["batch_size"])
    keys = [f"output_{index}" for index in range(len(outputs))]
    np.savez(arguments["out"], **dict(zip(keys, outputs, strict=True)))  # type: ignore[arg-type]
    return keys


def _said(arguments: dict[str, Any]) -> tuple[ModelSpec, ResolvedPhase, Execution]:
    recipe = Recipe.parse(arguments["recipe"])
    spec = ModelSpec.from_data(arguments["model"])
    return spec, recipe.resolved_phases()[0], Execution.parse(arguments["execution"])


def _plan(spec: ModelSpec, phase: ResolvedPhase, examples: int, execution: Execution) -> Plan:
    """A plan that is not played. Nothing trains in inference, so a model that is frozen whole is as good."""
    if not any(weight.trainable for weight in spec.weights):
        if any(weight.regularizer for weight in spec.weights):
            raise SpecError("every layer is frozen, and some have regularizers: their penalty is not counted then.",
                            hint="Unfreeze a layer to evaluate this model.")
        spec = spec.with_trainable(dict.fromkeys(spec.layers, True))
    return compile_phase(spec, phase, index=0, examples=examples, seed=0, dtype=execution.dtype)


def _open(arguments: dict[str, Any], plan: Plan, arrays: Arrays, execution: Execution) -> Session:
    backend = load_backend(arguments["backend"])
    backend.configure(execution)
    problems = backend.problems(plan)
    if problems:
        raise SpecError(" ".join(problems), where=f"model {plan.spec.name!r} in {backend.name}")
    state = read_state(arguments["weights"])
    return backend.open(plan, State(state.weights), arrays, execution)
