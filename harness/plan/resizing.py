"""Embeddings with more rows than they were trained with: for tokens that are new."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.errors import SpecError, did_you_mean
from harness.plan.initial import values
from harness.plan.randomness import generator
from harness.spec.layers.base import Layer
from harness.spec.layers.core import Embedding
from harness.spec.model import ModelSpec, NamedWeight, copy_layer
from harness.spec.phase import Resize

# Role -> the axis that has a place for every id.
AXES = {"embeddings": 0, "reverse_embeddings": 1, "lora_embeddings_a": 0}


def resized(spec: ModelSpec, name: str, resize: Resize) -> Layer:
    """The Embedding with its new number of rows. Raises SpecError where there is none, or for less rows than before."""
    if name not in spec.layers:
        raise SpecError(f"resize: there is no layer {name!r}.", hint=did_you_mean(name, spec.layers))
    layer = spec.layers[name]
    if not isinstance(layer, Embedding):
        raise SpecError(f"resize: {name!r} is a {type(layer).__name__}, not an Embedding.",
                        hint="Another layer is exchanged by replace.")
    if resize.input_dim < layer.input_dim:
        raise SpecError(f"resize: {name!r} has {layer.input_dim} rows, more than {resize.input_dim}: the rows of known "
                        "ids would be lost.", hint="Give at least as many.")
    return copy_layer(layer, input_dim=resize.input_dim)


def resized_weight(weight: NamedWeight, before: np.ndarray, resize: Resize, seed: int, phase: int) -> np.ndarray:
    """The weight in its new shape: the old values, then new rows. seed, phase: what they are drawn by.

    Drawn are values for the whole new shape (an initializer may look at its size), of which the last rows are taken.
    """
    axis = AXES.get(weight.role)
    if axis is None or weight.shape == before.shape:
        return before
    count = weight.shape[axis] - before.shape[axis]
    others = [size for place, size in enumerate(weight.shape) if place != axis]
    if count < 0 or others != [size for place, size in enumerate(before.shape) if place != axis]:
        raise SpecError(f"resize: {weight.name} was {before.shape}, which cannot become {weight.shape}.")
    drawn_as: Any = weight.initializer if resize.new_rows == "initializer" else resize.new_rows
    if drawn_as == "mean":
        mean = np.asarray(before, np.float64).mean(axis, keepdims=True)
        new = np.repeat(mean, count, axis)
    else:
        drawn = values(drawn_as, weight.shape, generator(seed, "new rows", phase, weight.name), weight.fans)
        new = np.take(np.asarray(drawn, np.float64), range(before.shape[axis], weight.shape[axis]), axis)
    return np.concatenate([before, new.astype(before.dtype)], axis)
