"""Trains in this process: no worker, no store, and the live native model at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.backends import load_backend
from harness.data import from_arrays
from harness.data.dataset import Dataset
from harness.models import load_model
from harness.records.record import Record
from harness.runner import cell as cells
from harness.runner.matrix import Cell
from harness.runner.models import dataset_identity, load_dataset
from harness.runner.pretrained import first_weights
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe
from harness.training.run import Job
from harness.training.run import train as train_job
from harness.training.state import to_tensors

IN_MEMORY = "arrays in memory"


def train(
    spec: ModelSpec | str, recipe: Recipe | Mapping[str, Any], data: Any = "digits", backend: str = "tensorflow",
    seed: int = 0, dtype: str = "float32", *, batches: np.ndarray | None = None,
    weights: Mapping[str, np.ndarray] | None = None, execution: Execution | Mapping[str, Any] | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Record:
    """Trains a model with one framework, in this process.

    spec: a ModelSpec, or the name of a library model. recipe: a Recipe or a mapping of its arguments.
    data: a source ("digits", {"csv": ...}), a Dataset, (x, y) arrays, or (x, y, sample_weight).
    batches: integer matrix [steps, batch] of example indices (-1 fills up a partial batch) in place of the
    recipe's epochs and shuffling. weights: first weights, canonical names and Keras's layout; drawn from `seed`
    otherwise. execution: device, threads, tier, compile...; `dtype` is its precision.
    Returns a Record with .losses (one per step, before that step's update, regularisation included), .weights,
    .metrics, .history and .model (the live keras.Model or torch.nn.Module).
    Raises SpecError for what cannot be done, CellFailed for a training that broke.
    """
    spec = load_model(spec)
    recipe = Recipe.parse(recipe)
    execution = copy_execution(Execution.parse(execution), dtype)
    described, dataset, identity = _dataset(data)
    cell = Cell(spec, spec.name, described, recipe, backend, execution, seed, identity=identity, folder=Path.cwd())
    started, owner = cells.now(), load_backend(backend)
    training = train_job(Job(
        spec, recipe, dataset, owner, execution, seed, batches=batches, base=Path.cwd(), progress=progress,
        weights=first_weights(spec, recipe, seed, Path.cwd()) if weights is None else dict(weights),
        dataset_of=lambda own: load_dataset(own, Path.cwd()), source=described.source,
    ))
    return Record(
        cells.done(cell, started, training, dataset, owner.versions()), model=training.model,
        memory_series=cells.series(training),
        memory_checkpoints={name: to_tensors(state) for name, state in training.checkpoints.items()},
    )


def copy_execution(execution: Execution, dtype: str) -> Execution:
    """The execution in that precision."""
    fields = {name: getattr(execution, name) for name in Execution.model_fields}
    return Execution(**{**fields, "precision": dtype})


def _dataset(data: Any) -> tuple[DatasetSpec, Dataset, dict[str, Any]]:
    """(how a record names it, the arrays, what it is known by)."""
    if isinstance(data, (tuple, list)):
        x, y, *weight = data
        data = from_arrays(x, y, sample_weight=weight[0] if weight else None)
    if isinstance(data, Dataset):
        return DatasetSpec.parse({"arrays": IN_MEMORY}), data, {"fingerprint": data.fingerprint}
    described = DatasetSpec.parse(data)
    return described, load_dataset(described, Path.cwd()), dataset_identity(described, Path.cwd())
