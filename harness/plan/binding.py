"""Binds data to a model: names, shapes, types and label ranges are checked here, before any framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.errors import DataError, SpecError, did_you_mean
from harness.plan.label_targets import label_target
from harness.plan.masking import mask_shapes
from harness.plan.plan import Output
from harness.spec.layers.base import Shape
from harness.spec.losses import (
    CTC,
    CategoricalGeneralizedCrossEntropy,
    Circle,
    SparseCategoricalCrossentropy,
)
from harness.spec.model import ModelSpec

OF_LABELS = (SparseCategoricalCrossentropy, CategoricalGeneralizedCrossEntropy)  # the losses on integer labels


@dataclass(frozen=True)
class Arrays:
    """Examples of one split, bound to a model: x by input name, y by output name, ready for the device.

    sample_weight: float [examples], class weights multiplied in, or None.
    """

    x: Mapping[str, np.ndarray]
    y: Mapping[str, np.ndarray]
    sample_weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(self.x.values())))


def bind(
    split: Any, spec: ModelSpec, outputs: tuple[Output, ...], dtype: str, *,
    class_weight: Mapping[int, float] | None = None, where: str = "data",
) -> Arrays:
    """A split of a dataset (x, y: arrays by name; sample_weight) bound to the model.

    Raises DataError if the names, shapes or values do not fit.
    """
    x = bind_inputs(split.x, spec, dtype, where=where)
    spec = _with_known_sizes(spec, x)
    y = {}
    for output, array in _match(split.y, [output.name for output in outputs], "output", where).items():
        owner = next(item for item in outputs if item.name == output)
        y[output] = _target(array, owner, spec, dtype, where)
    lengths = {name: len(array) for name, array in [*x.items(), *y.items()]}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the arrays differ in their number of examples: {lengths}.", where=where)
    _check_masked_losses(outputs, spec, y, where)
    weights = split.sample_weight
    if class_weight:
        if len(outputs) != 1:
            raise SpecError("class_weight needs a model with one output.", where=where)
        factors = _class_weights(y[outputs[0].name], class_weight)
        weights = factors if weights is None else weights * factors
    if weights is not None:
        weights = np.asarray(weights, dtype)
        if weights.shape[:1] != (next(iter(lengths.values())),):
            raise DataError(f"there are {len(weights)} sample weights for {next(iter(lengths.values()))} examples.",
                            where=where)
        _check_weighted_losses(outputs, spec, y, where)
    return Arrays(x, y, weights)


def _with_known_sizes(spec: ModelSpec, x: Mapping[str, np.ndarray]) -> ModelSpec:
    """The model as it is on this data: sizes that its inputs leave open are the data's."""
    if not any(None in item.shape[1:] for item in spec.inputs):
        return spec
    inputs = tuple(replace(item, shape=(item.shape[0], *x[item.name].shape[1:])) for item in spec.inputs)
    return replace(spec, inputs=inputs)


def _check_weighted_losses(
    outputs: tuple[Output, ...], spec: ModelSpec, y: Mapping[str, np.ndarray], where: str
) -> None:
    """Raises SpecError where an example has several losses: Keras cannot multiply (B, T) losses by (B,) weights."""
    for output in outputs:
        losses = _loss_shape(output, spec.tensors[output.node], y[output.name].ndim)
        if len(losses) > 1 and losses[1:] != (1,):
            raise SpecError(
                f"sample and class weights are one number per example, the loss of the output {output.name!r} has the "
                f"shape {losses}: Keras cannot combine them.", where=where,
                hint="Leave the weights out, or give the model one prediction per example.")


def _check_masked_losses(
    outputs: tuple[Output, ...], spec: ModelSpec, y: Mapping[str, np.ndarray], where: str
) -> None:
    """Raises SpecError where a mask (B, T) would meet losses of another shape."""
    for output in outputs:
        shape = spec.tensors[output.node]
        losses = _loss_shape(output, shape, y[output.name].ndim)
        mask = mask_shapes(spec).get(output.node.split(":")[0])
        if losses and mask is not None and not _fit(losses, mask):
            raise SpecError(
                f"the output {output.name!r} of shape {shape} carries a mask of shape {mask}, which Keras cannot "
                f"combine with its losses of shape {losses}.", where=where,
                hint="Give targets of the output's shape, and leave the loss's axis at -1.")


def _fit(losses: Shape, mask: Shape) -> bool:
    """Whether two shapes are the same, as far as they are known."""
    return len(losses) == len(mask) and all(a == b or None in (a, b) for a, b in zip(losses, mask, strict=True))


def _loss_shape(output: Output, shape: Shape, target_rank: int) -> Shape:
    """The shape of the losses of a batch, before they are summed up."""
    if isinstance(output.loss, (CTC, Circle)):
        return shape[:1]
    if target_rank == len(shape) - 1 and target_rank > 1 and not isinstance(output.loss, OF_LABELS):
        shape = shape[:-1]  # targets (B, T) for predictions (B, T, 1): Keras squeezes the predictions
    given = getattr(output.loss, "axis", -1)
    if given is None:
        return ()  # one number for the whole batch
    summed = {axis % len(shape) for axis in (given if isinstance(given, tuple) else (given,))}
    return tuple(size for axis, size in enumerate(shape) if axis not in summed)


def bind_inputs(
    x: Mapping[str, np.ndarray], spec: ModelSpec, dtype: str, *, where: str = "data"
) -> dict[str, np.ndarray]:
    """Inputs by the model's names, in its types. Raises DataError on a shape that does not fit."""
    shapes = {item.name: item for item in spec.inputs}
    bound = {}
    for name, array in _match(x, list(shapes), "input", where).items():
        wanted = shapes[name].shape
        array = np.asarray(array)
        fits = array.ndim == len(wanted) and all(
            size is None or size == got for size, got in zip(wanted[1:], array.shape[1:], strict=True)
        )
        if not fits:
            raise DataError(
                f"the model {spec.name!r} expects examples of shape {wanted[1:]} at its input {name!r}, the data has "
                f"{array.shape[1:]}.", where=where,
                hint="Give the model's input_shape, or prepare the data (reshape, channels, flatten).",
            )
        kind = dtype if shapes[name].dtype.startswith("float") else shapes[name].dtype
        if shapes[name].dtype.startswith("int") or _feeds_embedding(spec, name):
            _check_ids(array, spec, name, where)
        bound[name] = np.ascontiguousarray(array, dtype=kind)
    return bound


def _match(arrays: Mapping[str, np.ndarray], names: list[str], what: str, where: str) -> dict[str, np.ndarray]:
    if len(arrays) == 1 and len(names) == 1:
        return {names[0]: next(iter(arrays.values()))}
    if set(arrays) != set(names):
        odd = sorted(set(arrays) ^ set(names))[0]
        raise DataError(f"the model's {what}s are {', '.join(names)}, the data has {', '.join(arrays)}.", where=where,
                        hint=did_you_mean(odd, names))
    return {name: arrays[name] for name in names}


def _target(array: np.ndarray, output: Output, spec: ModelSpec, dtype: str, where: str) -> np.ndarray:
    array = np.asarray(array)
    shape = spec.tensors[output.node]
    if isinstance(output.loss, (CTC, Circle)):
        return label_target(array, output, shape, where)
    if isinstance(output.loss, OF_LABELS):
        if not np.issubdtype(array.dtype, np.integer) and not np.array_equal(array, np.floor(array)):
            raise DataError(f"{type(output.loss).__name__} needs integer labels, the data has {array.dtype} values.",
                            where=where, hint="For one-hot or real targets use another loss.")
        if array.shape[1:] not in (shape[1:-1], (*shape[1:-1], 1)) and None not in shape[1:-1]:
            raise DataError(
                f"{type(output.loss).__name__} needs one label for the output {output.name!r} of shape {shape[1:]}, "
                f"the targets have the shape {array.shape[1:]}.", where=where,
                hint="For one-hot targets use CategoricalCrossentropy.",
            )
        classes, labels = shape[-1], array
        ignored = getattr(output.loss, "ignore_class", None)
        if ignored is not None:
            labels = array[array != ignored]
        if classes is not None and labels.size and (labels.min() < 0 or labels.max() >= classes):
            raise DataError(
                f"labels out of range: the output {output.name!r} has {classes} classes (0 to {classes - 1}), the data "
                f"has labels from {labels.min()} to {labels.max()}.", where=where,
                hint="Give the last layer as many units as there are classes.",
            )
        if isinstance(output.loss, CategoricalGeneralizedCrossEntropy):
            array = array.reshape(array.shape[: len(shape) - 1])  # Keras would pair every example with every label
        return np.ascontiguousarray(array, dtype=np.int32)
    if array.ndim == len(shape) - 1:
        if shape[-1] != 1:
            raise DataError(
                f"the output {output.name!r} has the shape {shape[1:]}, the targets have {array.shape[1:]}.",
                where=where, hint=f"{type(output.loss).__name__} needs targets of the output's shape: "
                "use one_hot, or a sparse loss for integer labels.")
    elif array.ndim != len(shape) or any(
        size not in (None, got) for size, got in zip(shape[1:], array.shape[1:], strict=True)
    ):
        raise DataError(f"the output {output.name!r} has the shape {shape[1:]}, the targets have {array.shape[1:]}.",
                        where=where, hint="Change the last layer's units or the targets.")
    return np.ascontiguousarray(array, dtype=dtype)


def _class_weights(labels: np.ndarray, class_weight: Mapping[int, float]) -> np.ndarray:
    """Keras's conversion: one-hot labels by their argmax; a class that is not named weighs 1."""
    classes = labels.argmax(-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.reshape(len(labels))
    weights = np.ones(len(labels))
    for label, factor in class_weight.items():
        weights[np.round(classes) == label] = factor
    return weights


def _feeds_embedding(spec: ModelSpec, name: str) -> bool:
    return bool(_embeddings(spec, name))


def _embeddings(spec: ModelSpec, name: str) -> list[Any]:
    from harness.spec.layers.core import Embedding

    return [spec.layers[node.layer] for node in spec.nodes
            if name in node.inputs and isinstance(spec.layers[node.layer], Embedding)]


def _check_ids(array: np.ndarray, spec: ModelSpec, name: str, where: str) -> None:
    for layer in _embeddings(spec, name):
        if array.size and (array.min() < 0 or array.max() >= layer.input_dim):
            raise DataError(
                f"ids out of range: the embedding fed by {name!r} has {layer.input_dim} rows, the data has ids from "
                f"{array.min()} to {array.max()}.", where=where, hint="Raise the embedding's input_dim.")
