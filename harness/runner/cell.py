"""The one meeting place: spec -> data -> training -> record. Runs in a worker's child, one cell per process."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Dataset
from harness.records.environment import environment
from harness.records.record import write_record
from harness.runner.inspecting import inspector
from harness.runner.matrix import Cell
from harness.runner.pretrained import first_weights
from harness.spec.explicit import explicit
from harness.training.run import Job, Training, train
from harness.training.state import read_state, to_tensors


def cell_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """The workers' entry point. arguments: {"cell": Cell.to_data(), "folder": where the record goes,
    "checkpoints": {"backend/phase": path}}."""
    return run_cell(Cell.from_data(arguments["cell"]), Path(arguments["folder"]), arguments["checkpoints"], emit)


def run_cell(cell: Cell, folder: Path, checkpoints: Mapping[str, str], emit: Any = None) -> dict[str, Any]:
    """Trains one cell and writes its record; returns {"id", "test"}.

    checkpoints: "backend/phase" -> the safetensors file that the twin left. Raises CellFailed, SpecError.
    """
    from harness.backends import load_backend
    from harness.runner.models import load_dataset

    started = now()
    dataset = load_dataset(cell.data, cell.folder)
    backend = load_backend(cell.backend)
    training = train(Job(
        cell.model, cell.recipe, dataset, backend, cell.execution, seed=cell.seed, base=cell.folder, progress=emit,
        weights=first_weights(cell.model, cell.recipe, cell.seed, cell.folder),
        checkpoint_of=lambda name, phase: read_state(checkpoints[f"{name}/{phase}"]),
        dataset_of=lambda data: load_dataset(data, cell.folder), source=cell.data.source,
        inspect=inspector(backend, cell.execution, cell.seed, cell.inspect),
    ))
    save(folder, done(cell, started, training, dataset, backend.versions()), training)
    return {"id": cell.id, "test": training.test}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def opening(cell: Cell, started: str) -> dict[str, Any]:
    """The part of run.json that is known before training."""
    model = cell.model
    return {
        "id": cell.id,
        "cell": {
            "model": {"name": model.name, "parameters": model.parameters, "flops": model.flops,
                      "digest": model.digest, "spec": model.to_data()},
            "data": explicit(cell.data), "recipe": explicit(cell.recipe), "backend": cell.backend,
            "execution": explicit(cell.execution), "seed": cell.seed, "experiment": cell.experiment,
            "labels": dict(cell.labels), "identity": dict(cell.identity), "checkpoints": cell.content["checkpoints"],
        },
        "started_at": started,
    }


def done(
    cell: Cell, started: str, training: Training, dataset: Dataset, versions: Mapping[str, str],
) -> dict[str, Any]:
    """run.json of a finished training."""
    return {
        **opening(cell, started), "status": "done", "reason": None, **findings(training),
        "data": data_section(dataset), "environment": environment_section(versions, training.readback),
        "finished_at": now(),
    }


def save(folder: Path, payload: Mapping[str, Any], training: Training) -> None:
    """Writes the record: run.json, the series of steps, a checkpoint per phase."""
    tensors = {name: to_tensors(state) for name, state in training.checkpoints.items()}
    write_record(folder, payload, series(training), tensors, training.inspection)


def failure(cell: Cell, started: str, reason: Mapping[str, Any]) -> dict[str, Any]:
    """run.json of a cell that ended without a result."""
    kind = reason["kind"] if reason["kind"] != "spec" else "error"
    return {
        **opening(cell, started), "status": "failed", "reason": {"kind": kind, "message": reason["message"]},
        "plan": None, "data": None, "environment": environment(), "phases": [], "test": None, "timing": {},
        "memory": {}, "finished_at": now(),
    }


def findings(training: Training) -> dict[str, Any]:
    """What a training found: phases, test metrics, timing, memory, and the plan's digest."""
    phases, first = [], 0
    for run, plan in zip(training.phases, training.plans, strict=True):
        windows = [
            {"start": first + window.start, "stop": first + window.stop, "seconds": window.seconds,
             "warmup": window.warmup, "examples": int(plan.tape.sizes[window.start:window.stop].sum())}
            for window in run.windows
        ]
        phases.append({
            "name": run.name, "epochs": run.epochs, "windows": windows,
            "samples": sum(window["examples"] for window in windows), "best_epoch": run.best_epoch,
            "restored_best": run.restored_best, "stopped_early": run.stopped_early, "program": run.program,
            "plan_digest": run.plan_digest, "parameters": plan.spec.parameters,
            "trainable_parameters": sum(math.prod(variable.shape) for variable in plan.trainable),
        })
        first += run.steps
    digest = hashlib.sha256("".join(run.plan_digest for run in training.phases).encode()).hexdigest()
    return {"plan": {"digest": digest}, "phases": phases, "test": training.test, "timing": training.timing,
            "memory": training.memory, "notes": list(training.notes),
            **({} if training.games is None else {"games": training.games})}


def series(training: Training) -> dict[str, np.ndarray]:
    """One row per step that was played. step_seconds is its window's seconds over the window's steps."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in (
        "phase", "epoch", "loss", "learning_rate", "batch_size", "step_seconds")}
    for run, plan in zip(training.phases, training.plans, strict=True):
        steps = run.steps
        columns["phase"].append(np.full(steps, run.name, dtype=object))
        columns["epoch"].append(plan.tape.epochs[:steps].astype(np.int64) + 1)
        columns["loss"].append(np.concatenate(run.losses).astype(np.float64))
        columns["learning_rate"].append(plan.tape.learning_rates[:steps])
        columns["batch_size"].append(plan.tape.sizes[:steps].astype(np.int64))
        columns["step_seconds"].extend(
            np.full(window.stop - window.start, window.seconds / (window.stop - window.start)) for window in run.windows
        )
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return {**joined, "step": np.arange(len(joined["loss"]), dtype=np.int64)}


def data_section(dataset: Dataset) -> dict[str, Any]:
    return {"name": dataset.name, "fingerprint": dataset.fingerprint, "examples": dataset.examples,
            "classes": dataset.classes, "notes": list(dataset.notes),
            "vocabularies": {name: item.summary() for name, item in dataset.vocabularies.items()}}


def environment_section(versions: Mapping[str, str], readback: Mapping[str, Any]) -> dict[str, Any]:
    """The machine's own, and what the framework says of its switches."""
    found = environment()
    return {**found, **readback, "versions": {**found["versions"], **versions}}
