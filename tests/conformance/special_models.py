"""Small trainings in which the frameworks once parted, by name: played beside the random ones (random_models.py)."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import Input, Model, layers
from harness.spec.model import ModelSpec


def _shared() -> ModelSpec:
    """A BatchNormalization and a Dropout called twice: what they leave behind depends on the order of the calls."""
    x = image = Input((4,))
    norm, drop = layers.BatchNormalization(name="norm"), layers.Dropout(0.4, name="drop")
    near = drop(norm(x))
    far = drop(norm(layers.Dense(4, activation="tanh")(layers.Dense(4)(x))))
    return Model(image, layers.Dense(2)(layers.Concatenate()([near, far])))


def _taken_masks() -> ModelSpec:
    """The attention takes the mask off the tensor that the first output is computed from, and runs before it."""
    image = Input((4, 3))
    x = layers.Masking()(image)
    near = layers.Dense(2, name="near")(x)
    far = layers.Dense(2, name="far")(layers.MultiHeadAttention(1, 2)(layers.Dense(3)(x), x))
    return Model(image, [near, far])


def _broadcast_sums() -> ModelSpec:
    """(batch, 4) + (batch, 1) with a batch of 4, which Keras's addition would take for a bias."""
    image = Input((4,))
    x, one = layers.Dense(4)(image), layers.Dense(1)(image)
    return Model(image, layers.Concatenate()([layers.Add()([x, one]), layers.Average()([x, one])]))


def _chain(*made: Any, shape: tuple[int, ...] = (4,), dtype: str | None = None) -> ModelSpec:
    x = image = Input(shape, dtype=dtype)
    for layer in made:
        x = layer(x)
    return Model(image, x)


def _odd_names() -> ModelSpec:
    names = ("a.b", "a_b", "keys", "values", "training", "0")
    return _chain(*(layers.Dense(4, name=name) for name in names))


DROPPED = (layers.Dense(4, activation="tanh"), layers.Dropout(0.4), layers.Dense(2))
# name -> (model, loss, execution)
SPECIAL: dict[str, tuple[ModelSpec, Any, dict[str, Any]]] = {
    "shared layers": (_shared(), "mse", {}),
    "masks taken by attention": (_taken_masks(), ["mse", "mae"], {}),
    "sums of different shapes": (_broadcast_sums(), "mse", {}),
    "single values in groups": (_chain(layers.Dense(3), layers.GroupNormalization(-1), layers.Dense(2)), "mse", {}),
    "classes along axis 1": (
        _chain(layers.Dense(2), shape=(3, 4)),
        {"CategoricalCrossentropy": {"from_logits": True, "axis": 1, "label_smoothing": 0.2}}, {}),
    "odd names": (_odd_names(), "mse", {}),
    "whole numbers": (_chain(layers.Flatten(), layers.Dense(3), shape=(4, 1), dtype="uint8"), "mse", {}),
    "dropout from the tape under fit": (_chain(*DROPPED), "mse", {"tier": "idiomatic", "random": "tape"}),
    "shared layers under fit": (_shared(), "mse", {"tier": "idiomatic", "random": "tape"}),
}


def arrays(spec: ModelSpec) -> dict[str, Any]:
    """9 examples: two batches of 4 and one of 1. Some steps are all zero."""
    rng = np.random.default_rng(9)
    x = {}
    for item in spec.inputs:
        values = rng.normal(size=(9, *item.shape[1:]))
        if len(item.shape) == 3:
            values[:, 1:][rng.random((9, item.shape[1] - 1)) < 0.4] = 0.0
        x[item.name] = values if item.dtype == "float32" else np.abs(values * 9).astype(item.dtype)
    y = {name: rng.normal(size=(9, *spec.tensors[reference][1:]))
         for name, reference in zip(spec.output_names, spec.outputs, strict=True)}
    return {"x": x, "y": y, "validation": None, "test": None, "sample_weight": None}
