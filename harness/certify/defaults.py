"""What is certified where the user does not say: a recipe that fits the model, and data that fits it."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.certify.probes import Probe
from harness.data.dataset import Dataset
from harness.data.given import from_arrays
from harness.plan.randomness import generator
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

GENERATED = "generated"
OPTIMIZER = {"Adam": {"learning_rate": 0.001}}


def default_recipe(spec: ModelSpec) -> Recipe:
    """Adam, batches of 32, and for each output the loss that its activation asks for."""
    losses = {name: _loss(spec, reference) for name, reference in zip(spec.output_names, spec.outputs, strict=True)}
    return Recipe.parse({"loss": losses if len(losses) > 1 else next(iter(losses.values())), "optimizer": OPTIMIZER,
                         "batch_size": 32})


def _loss(spec: ModelSpec, reference: str) -> Any:
    node = next((node for node in spec.nodes if node.name == reference), None)
    layer = None if node is None else spec.layers[node.layer]
    activation = getattr(layer, "activation", None)
    classes = spec.tensors[reference][-1]
    if activation == "softmax" or type(layer).__name__ == "Softmax":
        return "sparse_categorical_crossentropy"
    if activation == "sigmoid":
        return "binary_crossentropy"
    if type(layer).__name__ == "Dense" and activation in (None, "linear") and (classes or 0) > 1:
        return {"SparseCategoricalCrossentropy": {"from_logits": True}}
    return "mean_squared_error"


def generated(spec: ModelSpec, recipe: Recipe, examples: int, seed: int, size: int = 16) -> Dataset:
    """Inputs and targets drawn from the seed: labels where the loss is on labels, else numbers.

    size: that of the dimensions that the model leaves open. Raises SpecError for inputs of text.
    """
    x = Probe(seed, examples, size).inputs(spec)
    phase = recipe.resolved_phases()[0]
    y: dict[str, np.ndarray] = {}
    from harness.plan.compiler import compile_outputs

    assert phase.loss is not None
    for output in compile_outputs(spec, phase.loss, phase.loss_weights):
        shape = tuple(size if item is None else item for item in spec.tensors[output.node][1:])
        rng = generator(seed, "targets", output.name)
        kind = type(output.loss).__name__
        if kind.startswith("Sparse") or kind == "CategoricalGeneralizedCrossEntropy":
            y[output.name] = rng.integers(0, shape[-1], (examples, *shape[:-1]))
        elif kind.startswith("Categorical"):
            y[output.name] = np.eye(shape[-1])[rng.integers(0, shape[-1], (examples, *shape[:-1]))]
        elif kind.startswith(("Binary", "Hinge", "SquaredHinge")):
            y[output.name] = rng.integers(0, 2, (examples, *shape)).astype("float32")
        else:
            y[output.name] = rng.random((examples, *shape))
    return from_arrays(x, y, name=GENERATED)
