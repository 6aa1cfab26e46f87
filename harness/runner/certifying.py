"""What a worker's child does for a certificate: one backend, one phase, one action.

The subject (model, recipe, a small part of the data, the states that phases begin with) lies in a folder that both
backends read; each makes the same plan of it. See runner/certify.py for who asks.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends import load_backend
from harness.backends.contract import Backend, Session, State, Weights
from harness.certify.agreement import array_difference, floors_of
from harness.certify.controls import one_ulp
from harness.certify.probes import Probe
from harness.data.dataset import Dataset
from harness.plan.binding import Arrays, bind
from harness.plan.compiler import compile_phase
from harness.plan.finetune import continued_slots, model_of_phase, starting_weights
from harness.plan.plan import Plan
from harness.records.array_file import read_arrays, write_arrays
from harness.records.checkpoint import save_checkpoint
from harness.runner.models import load_dataset
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.explicit import explicit
from harness.spec.model import ModelSpec, copy_layer
from harness.spec.recipe import Recipe, ResolvedPhase
from harness.training.state import read_state, to_tensors

ACTIONS = {
    "trace": "harness.runner.certifying:trace_job",
    "forced": "harness.runner.certifying:forced_job",
    "trajectory": "harness.runner.trajectory:trajectory_job",
}
REVERSED, OTHER_SEED = "reversed", "other seed"


@dataclass(frozen=True)
class Setup:
    """One phase in one backend: what Backend.open takes. The framework is loaded when it is first asked for."""

    backend_name: str
    plan: Plan
    state: State
    arrays: Arrays
    execution: Execution

    @property
    def backend(self) -> Backend:
        return load_backend(self.backend_name)

    def open(self) -> Session:
        """A session before the first step. The process is configured for the execution."""
        self.backend.configure(self.execution)
        return self.backend.open(self.plan, self.state, self.arrays, self.execution)


def write_subject(
    folder: Path, spec: ModelSpec, recipe: Recipe, datasets: list[Dataset], state: State, *, seed: int,
    batch: int | None = None,
) -> None:
    """Lays a subject down. datasets: the examples of each phase. state: what phase 0 begins with. batch: in place of
    the recipe's batch sizes."""
    from harness.data.given import save

    (folder / "subject.json").write_text(json.dumps({
        "spec": spec.to_data(), "recipe": explicit(recipe), "seed": seed, "batch": batch}))
    for index, dataset in enumerate(datasets):
        save(dataset, folder / f"data {index}.npz")
    write_start(folder, 0, state)


def write_start(folder: Path, phase: int, state: State) -> None:
    """The state that a phase begins with, before its layers are replaced."""
    save_checkpoint(folder / f"start {phase}.safetensors", to_tensors(state))


def setup(arguments: Mapping[str, Any]) -> Setup:
    """arguments: {"backend", "folder", "phase", "precision", "steps", "execution", "variant", "rounded"}. The same plan
    in every process. execution: plain data, its precision replaced. variant: None, "reversed" (the rows of every batch
    in reverse: another order of summation) or "other seed" (first weights and order of the batches). rounded: whether
    what is timed is of less than float64: a layer of float32 is then one that is left whole, and of float64 here."""
    folder, index = Path(arguments["folder"]), arguments["phase"]
    subject = json.loads((folder / "subject.json").read_text())
    variant = arguments.get("variant")
    seed = subject["seed"] + (1 if variant == OTHER_SEED else 0)
    phases = Recipe.parse(subject["recipe"]).resolved_phases()
    spec = ModelSpec.from_data(subject["spec"])
    for phase in phases[: index + 1]:
        spec = model_of_phase(spec, phase)
    phase = phases[index]
    if arguments.get("rounded") and arguments["precision"] == "float64":
        spec = spec.with_layers({name: copy_layer(layer, dtype=None) for name, layer in spec.layers.items()
                                 if layer.dtype == "float32"})
    before = read_state(folder / f"start {index}.safetensors")
    drawn = variant == OTHER_SEED and index == 0
    weights = starting_weights(spec, phase, index, seed, None if drawn else before.weights)
    goes_on = phase.continues_optimizer and index > 0
    slots = continued_slots(spec, phase, before.slots) if goes_on else {}
    state = State(weights, slots, before.iterations if goes_on else 0)
    dataset = load_dataset(DatasetSpec.parse({"source": {"arrays": str(folder / f"data {index}.npz")}}), None)
    phase = shortened(phase, dataset.train.examples, arguments["steps"], subject["batch"])
    execution = Execution.parse({**arguments.get("execution", {}), "precision": arguments["precision"]})
    weighted = dataset.train.sample_weight is not None or bool(phase.class_weight)
    plan = compile_phase(
        spec, phase, index=index, examples=dataset.train.examples, seed=seed, dtype=execution.dtype,
        first_iteration=state.iterations, weighted=weighted)
    if variant == REVERSED:
        plan = reversed_rows(plan)
    arrays = bind(dataset.train, spec, plan.outputs, execution.dtype, class_weight=phase.class_weight)
    return Setup(arguments["backend"], plan, state, arrays, execution)


def shortened(phase: ResolvedPhase, examples: int, steps: int, batch: int | None) -> ResolvedPhase:
    """The phase as long as is looked at: as many epochs as `steps` need."""
    size = batch or phase.batch_size
    assert size is not None
    size = min(size, examples) if phase.drop_last else size
    per_epoch = max(examples // size if phase.drop_last else -(-examples // size), 1)
    wanted = min(steps, phase.steps or steps)
    return phase.model_copy(update={"batch_size": size, "epochs": -(-wanted // per_epoch), "steps": wanted})


def reversed_rows(plan: Plan) -> Plan:
    """The same batches, their examples in reverse order."""
    indices = plan.tape.indices.copy()
    for row, size in zip(indices, plan.tape.sizes, strict=True):
        row[:size] = row[:size][::-1].copy()
    return replace(plan, tape=replace(plan.tape, indices=indices))


def certify_job(arguments: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> Any:
    """The workers' entry point: arguments["action"] says which of ACTIONS."""
    module, _, name = ACTIONS[arguments["action"]].partition(":")
    return getattr(importlib.import_module(module), name)(arguments, emit)


def trace_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """One step in full, to arguments["file"]: the readback, the weights before ("start WEIGHT"), the trace, what each
    weight was changed by ("change WEIGHT"), and how far the framework is from itself with weights moved by one ulp
    ("control NAME"). arguments, besides those of `setup`: {"step", "file", "then": where the step after it goes,
    if it is looked at as well}."""
    made = setup(arguments)
    session, step = made.open(), arguments["step"]
    started = session.state()
    found = session.readback() if step == 0 else {}
    if step:
        session.train(0, step)
        session.collect()
    before = session.state()
    found |= {f"start {name}": array for name, array in before.weights.items()}
    traced = with_changes(session.trace(step), before.weights)
    found |= traced
    later = _step_after(session, step) if arguments.get("then") else {}
    own = State(one_ulp(before.weights, made.plan.dtype, seed=0), before.slots or started.slots, before.iterations)
    session.load(own)
    found |= distances(with_changes(session.trace(step), own.weights), traced)
    if arguments.get("then"):
        write_arrays(arguments["then"], {**later, **distances(_step_after(session, step), later)})
    write_arrays(Path(arguments["file"]), found)
    session.close()
    return {"versions": made.backend.versions()}


def _step_after(session: Session, step: int) -> Weights:
    """The trace of the step after one that was traced, with the weights before it."""
    before = session.state().weights
    return {**{f"start {name}": array for name, array in before.items()},
            **with_changes(session.trace(step + 1), before)}


def forced_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Every call by itself, with the tensors of the trace in arguments["teacher"], to arguments["file"]; and the
    distances to the same with those tensors moved by one ulp ("control NAME")."""
    made = setup(arguments)
    session, step = made.open(), arguments["step"]
    if step:
        session.train(0, step)
        session.collect()
    teacher = teacher_of(made.plan, read_arrays(Path(arguments["teacher"])))
    before = session.state().weights
    found = with_changes(session.forced(step, teacher), before)
    moved = {**teacher, **one_ulp({name: array for name, array in teacher.items()
                                   if name.startswith(("forward ", "gradient "))}, made.plan.dtype, seed=0)}
    found |= distances(with_changes(session.forced(step, moved), before), found)
    write_arrays(Path(arguments["file"]), found)
    session.close()
    return {}


def teacher_of(plan: Plan, traced: Weights) -> Weights:
    """What Session.forced feeds from a trace: the model's inputs are tensors like others, and a tensor that the loss
    does not reach (or reaches past it, from the logits) has a gradient that is drawn."""
    found = {f"forward {item.name}": traced[f"data x {item.name}"] for item in plan.spec.inputs}
    for name, array in traced.items():
        kind, _, reference = name.partition(" ")
        if kind == "gradient" and not array.any():
            found[name] = Probe().cotangent(reference, array.shape).astype(array.dtype)
        elif kind in ("gradient", "forward"):
            found[name] = array
    return found


def with_changes(traced: Weights, before: Weights) -> Weights:
    """The trace with what each weight was changed by: an update is small beside its weight."""
    changes = {}
    for prefix in ("weight ", "state "):
        for name, array in traced.items():
            weight = name.removeprefix(prefix)
            if name.startswith(prefix) and weight in before and array.dtype.kind == "f":
                changes[f"change {weight}"] = array - np.asarray(before[weight], array.dtype)
    return {**traced, **changes}


def distances(other: Weights, own: Weights) -> Weights:
    """"control NAME": the relative difference of each array, by the same measure as between backends."""
    floors = floors_of(own)
    return {f"control {name}": np.asarray(array_difference(other[name], array, floors.get(name, 0.0)))
            for name, array in own.items() if name in other and array.dtype.kind == "f"}
