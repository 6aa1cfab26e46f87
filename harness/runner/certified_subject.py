"""What is certified, settled before anything runs: the model behind its layers of text, a recipe, few examples."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.certify.defaults import default_recipe, generated
from harness.data.dataset import Dataset
from harness.data.text_prefix import on_host
from harness.errors import DataError, SpecError
from harness.models import accepted_parameters, load_model
from harness.plan.binding import bind
from harness.plan.compiler import compile_outputs
from harness.plan.finetune import model_of_phase
from harness.plan.randomness import generator
from harness.runner.models import load_dataset
from harness.runner.pretrained import first_weights
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe
from harness.training.run import Job as TrainingJob
from harness.training.run import phase_dataset, start_of_phase

# Epochs of about this many batches, the last one partial: two boundaries and three orders within fifty steps.
BATCHES = 20.5
# Of all tensors of one batch in float64; beyond it the batch is made smaller.
TRACE_BYTES = 128 * 2**20


@dataclass
class Subject:
    """What is certified, settled: the model behind its layers of text, the examples of each phase."""

    spec: ModelSpec
    recipe: Recipe
    datasets: list[Dataset]
    start: Any
    seed: int
    execution: Execution
    batch: int | None
    notes: list[str]


def settled_subject(
    model: Any, recipe: Any, data: Any, seed: int, weights: Mapping[str, np.ndarray] | None, folder: Path | None,
    execution: Execution, batch: int | None,
) -> Subject:
    notes: list[str] = []
    dataset = _dataset(data, folder)
    spec = _model(model, dataset)
    settled = default_recipe(spec) if recipe is None else Recipe.parse(recipe)
    if dataset is None:
        dataset = _fitting(spec, settled, seed, notes)
    whole = spec
    spec, dataset = on_host(whole, dataset)

    class Named:
        name = "tensorflow"

    backend: Any = Named()
    job = TrainingJob(spec, settled, dataset, backend, execution, seed=seed, base=folder,
                      weights=first_weights(whole, settled, seed, folder) if weights is None else dict(weights),
                      dataset_of=lambda own: on_host(whole, load_dataset(own, folder))[1])
    phases = settled.resolved_phases()
    first = phases[0]
    start = start_of_phase(job, model_of_phase(spec, first), first, 0, None)
    size = batch or _affordable(spec, [phase.batch_size or 32 for phase in phases], notes)
    datasets = [_part(phase_dataset(job, phase), size or phase.batch_size or 32, seed) for phase in phases]
    return Subject(spec, settled, datasets, start, seed, execution, size, notes)


def _dataset(data: Any, folder: Path | None) -> Dataset | None:
    if data is None or isinstance(data, Dataset):
        return data
    if isinstance(data, (tuple, list)):
        from harness.data.given import from_arrays

        x, y, *weight = data
        return from_arrays(x, y, sample_weight=weight[0] if weight else None)
    return load_dataset(DatasetSpec.parse(data), folder)


def _model(model: Any, dataset: Dataset | None) -> ModelSpec:
    """The model; one of the library is given the data's shape and classes where it takes them."""
    if isinstance(model, ModelSpec):
        return model
    found = dataset or load_dataset(DatasetSpec.parse("digits"), None)
    takes = accepted_parameters(model)
    shape = next(iter(found.train.x.values())).shape[1:]
    given = {"input_shape": shape, "num_classes": found.classes}
    wanted = {name: value for name, value in given.items() if name in takes and value is not None}
    try:
        return load_model(model, **wanted)
    except SpecError:
        if dataset is not None:
            raise
        return load_model(model)  # digits do not fit it


def _fitting(spec: ModelSpec, recipe: Recipe, seed: int, notes: list[str]) -> Dataset:
    """Digits where the model takes them, else generated examples."""
    digits = load_dataset(DatasetSpec.parse("digits"), None)
    shape = next(iter(digits.train.x.values())).shape[1:]
    takes = len(spec.inputs) == len(spec.outputs) == 1 and spec.inputs[0].shape[1:] == shape \
        and spec.inputs[0].dtype.startswith("float") and spec.tensors[spec.outputs[0]][1:] == (digits.classes,)
    if takes:
        with contextlib.suppress(DataError):
            first = recipe.resolved_phases()[0]
            assert first.loss is not None
            bind(digits.train, spec, compile_outputs(spec, first.loss, first.loss_weights), "float32")
            return digits
    notes.append("no data was given and digits do not fit the model: inputs and targets are generated.")
    return generated(spec, recipe, 320, seed)


def _affordable(spec: ModelSpec, sizes: list[int], notes: list[str]) -> int | None:
    """A batch size whose tensors fit the memory of a trace; None where the recipe's do."""
    one = 8 * sum(int(np.prod([size or 16 for size in shape[1:]])) for shape in spec.tensors.values())
    most = max(int(TRACE_BYTES / max(one, 1)), 2)
    if max(sizes) <= most:
        return None
    notes.append(f"the batches are of {most} examples, not of {max(sizes)}: every tensor of a step is looked at.")
    return most


def _part(dataset: Dataset, batch: int, seed: int) -> Dataset:
    """As many examples as about twenty batches take, of the training split alone."""
    count = min(dataset.train.examples, int(BATCHES * batch))
    chosen = np.sort(generator(seed, "certified examples").permutation(dataset.train.examples)[:count])
    return replace(dataset, train=dataset.train.take(chosen), validation=None, test=None)
