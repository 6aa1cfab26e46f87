"""What a port and its Keras model are compared on: the model with its weights, a recipe, a few examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.certify.ports.reference import Expanded, by_output
from harness.certify.probes import Probe
from harness.data.dataset import Dataset
from harness.plan.initial import initial_weights
from harness.plan.randomness import generator
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

KERAS_FILES = (".keras", ".h5", ".hdf5")
EXAMPLES = 48
# Weights that are all alike (fresh biases, gains) are moved by up to this: a mistake with a bias of 0 shows nowhere.
JITTER = 0.1


def read_keras(keras: Any, seed: int) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """The model and its weights; drawn from the seed where it comes without."""
    if isinstance(keras, ModelSpec):
        spec, weights = keras, None
    elif isinstance(keras, (str, Path)) and Path(keras).suffix not in KERAS_FILES:
        from harness.models import load_model

        spec, weights = load_model(keras), None
    else:
        from harness.exchange.from_keras import from_keras

        spec, weights = from_keras(keras)
    return spec, dict(weights) if weights is not None else initial_weights(spec, seed)


def moved_constants(spec: ModelSpec, weights: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Weights whose numbers are all the same get different ones near them."""
    found = dict(weights)
    for weight in spec.weights:
        array = np.asarray(weights[weight.name])
        if array.size > 1 and array.dtype.kind == "f" and np.all(array == array.flat[0]):
            noise = generator(seed, "moved", weight.name).uniform(-JITTER, JITTER, array.shape)
            found[weight.name] = (array + noise).astype(array.dtype)
    return found


def recipe_of(spec: ModelSpec, recipe: Any, reference: Expanded | None, batch: int) -> Recipe:
    """The user's, its outputs under their names in the reference and without metrics; or Adam and the loss that the
    outputs ask for. As it is where reference is None: for whole runs."""
    if recipe is None:
        losses = [_default_loss(spec, name) for name in spec.outputs]
        loss = losses[0] if len(losses) == 1 else dict(zip(spec.output_names, losses, strict=True))
        recipe = {"loss": loss, "optimizer": {"Adam": {}}, "batch_size": batch}
    if reference is None:
        return Recipe.parse(recipe)
    if isinstance(recipe, Mapping):
        recipe = {key: by_output(value, reference.outputs) if key in ("loss", "loss_weights") else value
                  for key, value in recipe.items() if key != "metrics"}
    found = Recipe.parse(recipe)
    if not isinstance(recipe, Mapping):
        found = found.model_copy(update={name: by_output(getattr(found, name), reference.outputs)
                                         for name in ("loss", "loss_weights")})
    return found


def _default_loss(spec: ModelSpec, output: str) -> str:
    node = next((node for node in spec.nodes if node.name == output), None)
    layer: Any = None if node is None else spec.layers[node.layer]
    activation = "softmax" if type(layer).__name__ == "Softmax" else getattr(layer, "activation", None)
    return {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}.get(
        activation if isinstance(activation, str) else "", "mean_squared_error")


def dataset_of(spec: ModelSpec, recipe: Recipe, data: Any, seed: int) -> Dataset:
    """A small part of the user's data, or random examples that fit the model and its losses."""
    from harness.data import from_arrays
    from harness.plan.compiler import compile_outputs
    from harness.runner.in_process import _dataset as parsed

    if data is not None:
        dataset = parsed(data)[1]
        return replace(dataset, train=dataset.train.take(slice(0, EXAMPLES)), validation=None, test=None)
    phase = recipe.resolved_phases()[0]
    assert phase.loss is not None
    inputs = Probe(seed, EXAMPLES).inputs(spec)
    targets = {}
    for output in compile_outputs(spec, phase.loss, phase.loss_weights):
        shape = (EXAMPLES, *(size or Probe().size for size in spec.tensors[output.node][1:]))
        targets[output.name] = _targets(type(output.loss).__name__, shape, generator(seed, "target", output.name))
    single = len(inputs) == len(targets) == 1
    if single:
        return from_arrays(next(iter(inputs.values())), next(iter(targets.values())))
    return from_arrays(inputs, targets)


def _targets(loss: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if loss.startswith("Sparse") or loss == "CategoricalGeneralizedCrossEntropy":
        return rng.integers(0, shape[-1], shape[:-1])
    if loss.startswith("Categorical"):
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if loss.startswith("Binary"):
        return rng.integers(0, 2, shape).astype(np.float64)
    found = rng.standard_normal(shape)
    return np.abs(found) if loss in ("Poisson", "MeanSquaredLogarithmicError", "KLDivergence") else found
