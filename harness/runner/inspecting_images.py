"""Images for a look at a model: what an autoencoder makes of those it is given, the masks of a segmentation, and what a
variational autoencoder makes of noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.plan.plan import Output
from harness.plan.randomness import generator
from harness.runner.generating import predicting
from harness.spec.model import InputSpec, ModelSpec

if TYPE_CHECKING:
    from harness.runner.inspecting import Look

MOST_IMAGES = 8
# Pixels on a side beyond which every second, third, ... one is kept.
MOST_SIDE = 64
SMALLEST_SIDE = 8
# Where a generative model draws: what stands behind makes an image of it (models/vae.py).
SAMPLE = "sample"


def images_of(look: Look) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The first examples, uint8 [images, height, width, channels]: given, made, and of masks the right ones.

    Pixels from `low` to `high` stand as 0 to 255, those of masks as the classes' numbers.
    """
    for output in look.plan.outputs:
        position = look.plan.spec.outputs.index(output.node)
        source = _source(look, output)
        if source is None:
            continue
        x = {name: array[:MOST_IMAGES] for name, array in look.arrays.x.items()}
        made = np.asarray(look.session.predict(x, MOST_IMAGES)[position])
        targets = look.arrays.y[output.name][:MOST_IMAGES]
        if _is_mask(look, output):
            low, high = float(x[source].min()), float(x[source].max())
            entry = {"output": output.name, "low": low, "high": high, "masks": made.shape[-1]}
            return {"images": entry}, {
                "images_given": _bytes(x[source], low, high), "images_label": _small(targets.astype(np.uint8)),
                "images_made": _small(made.argmax(axis=-1).astype(np.uint8))}
        low, high = float(targets.min()), float(targets.max())
        errors = np.square(made.astype(np.float64) - targets).reshape(len(made), -1).mean(axis=1)
        entry = {"output": output.name, "low": low, "high": high, "mean_squared_errors": errors.tolist()}
        kept = {"images_given": _bytes(targets, low, high), "images_made": _bytes(made, low, high)}
        drawn = _drawn(look, position)
        return {"images": entry}, kept if drawn is None else {**kept, "images_sampled": _bytes(drawn, low, high)}
    return {}, {}


def _source(look: Look, output: Output) -> str | None:
    """The input that is an image, where the output makes one of it; else None."""
    shape = look.arrays.y[output.name].shape
    for name, array in look.arrays.x.items():
        if not _is_image(array.shape) or array.dtype.kind != "f":
            continue
        same = shape == array.shape and shape[1:] == tuple(look.plan.spec.tensors[output.node][1:])
        if same or (_is_mask(look, output) and shape[1:3] == array.shape[1:3]):
            return name
    return None


def _is_image(shape: tuple[int, ...]) -> bool:
    channels = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
    return channels and min(shape[1:3]) >= SMALLEST_SIDE


def _is_mask(look: Look, output: Output) -> bool:
    """Whether the output says a class for each pixel: whole numbers [examples, height, width]."""
    shape, targets = look.plan.spec.tensors[output.node], look.arrays.y[output.name]
    return len(shape) == 4 and targets.ndim == 3 and targets.dtype.kind in "iu" and 1 < (shape[3] or 0) <= 256


def _small(images: np.ndarray) -> np.ndarray:
    """[images, height, width, channels], no side longer than MOST_SIDE."""
    images = images[..., None] if images.ndim == 3 else images
    step = -(-max(images.shape[1:3]) // MOST_SIDE)
    return np.ascontiguousarray(images[:, ::step, ::step])


def _bytes(images: np.ndarray, low: float, high: float) -> np.ndarray:
    shares = (_small(np.asarray(images, np.float64)) - low) / max(high - low, 1e-12)
    return np.asarray(np.round(255 * np.nan_to_num(np.clip(shares, 0, 1))), np.uint8)


def _drawn(look: Look, position: int) -> np.ndarray | None:
    """What the model makes of normal noise, the same in every framework; None if it is not generative."""
    decoder = behind(look.plan.spec, SAMPLE, position)
    if decoder is None:
        return None
    shape = (MOST_IMAGES, *(size or 1 for size in decoder.inputs[0].shape[1:]))
    noise = generator(look.seed, "inspection").standard_normal(shape).astype(look.plan.dtype)
    names = {weight.name for weight in decoder.weights}
    weights = {name: array for name, array in look.session.state().weights.items() if name in names}
    with predicting(decoder, weights, look.backend, look.execution) as predict:
        return predict({SAMPLE: noise}, MOST_IMAGES)[0]


def behind(spec: ModelSpec, name: str, position: int = 0) -> ModelSpec | None:
    """The model from a layer's output on to one of its own outputs; None where there is no such layer, or where
    another way leads around it."""
    shape = spec.tensors.get(name)
    if shape is None or None in shape[1:] or not any(node.name == name for node in spec.nodes):
        return None
    makers = {node.name: node for node in spec.nodes}
    needed: set[str] = set()
    waiting = [spec.outputs[position]]
    while waiting:
        reference = waiting.pop().split(":")[0]
        if reference == name or reference in needed:
            continue
        if reference not in makers:
            return None  # an input of the whole model
        needed.add(reference)
        waiting += makers[reference].references
    nodes = tuple(node for node in spec.nodes if node.name in needed)
    if not nodes:
        return None
    used = {node.layer for node in nodes}
    layers = {key: layer for key, layer in spec.layers.items() if key in used}
    return ModelSpec(f"{spec.name}_behind_{name}", (InputSpec(name, shape),), layers, nodes, (spec.outputs[position],))
