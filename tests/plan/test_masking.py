"""Layers that a mask reaches under which Keras breaks off are refused before anything runs, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.plan.masking import check_masks, mask_shapes
from harness.spec.model import ModelSpec

EACH_STEP = layers.TimeDistributed


def masked(shape: tuple[int, ...], *after: Callable[[Any], Any]) -> ModelSpec:
    """(batch, *shape) with a mask, then these layers or functions."""
    x = image = Input(shape, name="x")
    for layer in (layers.Masking(), *after):
        x = layer(x)
    return Model(image, x, name="masked")


def attention(**arguments: Any) -> Callable[[Any], Any]:
    return lambda x: layers.MultiHeadAttention(2, 3, name="attention", **arguments)(x, x)


def stack(*cells: Any, **arguments: Any) -> Any:
    return layers.RNN(layers.StackedRNNCells(cells), **arguments)


def norm(**arguments: Any) -> Any:
    return layers.BatchNormalization(**arguments)


# What keras 3.15.1 on TensorFlow broke off on, in a call or in fit.
REFUSED = {
    "attention over both dimensions": ((4, 5, 3), [attention()], "attention_axes=2"),
    "attention over both equal dimensions": ((4, 4, 3), [attention(attention_axes=(1, 2))], "attention_axes=2"),
    "attention over the first dimension": ((4, 5, 3), [attention(attention_axes=1)], "attention_axes=2"),
    "attention over the middle of three": ((2, 4, 5, 3), [attention(attention_axes=2)], "attention_axes=3"),
    "stack of one cell": ((4, 3), [stack(layers.LSTMCell(2))], r"Write RNN\(cell\)"),
    "list of one cell": ((4, 3), [layers.RNN([layers.GRUCell(2)], return_sequences=True)], r"Write RNN\(cell\)"),
    "stack of one cell, both ways": ((4, 3), [layers.Bidirectional(stack(layers.LSTMCell(2)))], r"Write RNN\(cell\)"),
    "stack of one cell at each step": ((4, 5, 3), [EACH_STEP(stack(layers.LSTMCell(2)))], r"Write RNN\(cell\)"),
    "one channel of an axis": ((1, 4), [norm(axis=1)], "axis=-1"),
    "one channel at each step": ((4, 1), [EACH_STEP(norm(axis=1))], "axis=-1"),
    "one channel of an axis at each step": ((4, 1, 3), [EACH_STEP(norm(axis=1))], "axis=-1"),
    "images at masked steps": ((4, 3), [EACH_STEP(layers.Reshape((3, 1))), norm()], "mask of 3 dimensions"),
    "sequences at masked steps": ((4, 3), [EACH_STEP(layers.Reshape((3, 1))), EACH_STEP(norm())], "mask of 2"),
    "sequences read at masked steps": (
        (4, 3), [EACH_STEP(layers.Reshape((3, 1))), EACH_STEP(layers.LSTM(2))], r"mask \(batch, steps\)"),
    "softmax at masked steps": ((4, 5, 3), [EACH_STEP(layers.Softmax())], "reaches this Softmax"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_keras_breaks_off_on_is_refused(name: str) -> None:
    shape, after, said = REFUSED[name]
    spec = masked(shape, *after)
    with pytest.raises(SpecError, match=said) as refusal:
        check_masks(spec)
    assert f"layer {spec.nodes[-1].name!r}" in str(refusal.value)
    without = Model(x := Input(shape), _through(after, x))
    check_masks(without)


def _through(after: Any, x: Any) -> Any:
    for layer in after:
        x = layer(x)
    return x


# What it runs.
CARRIED = {
    "attention over the last dimension": ((4, 5, 3), [attention(attention_axes=-2)]),
    "attention over one of equal dimensions": ((4, 4, 3), [attention(attention_axes=1)]),
    "attention over steps": ((4, 3), [attention()]),
    "two cells": ((4, 3), [stack(layers.LSTMCell(2), layers.GRUCell(2))]),
    "one cell, unrolled": ((4, 3), [stack(layers.LSTMCell(2), unroll=True)]),
    "one cell without a stack": ((4, 3), [layers.RNN(layers.LSTMCell(2))]),
    "one cell behind the last step": ((4, 3), [layers.LSTM(2), layers.Reshape((2, 1)), stack(layers.LSTMCell(2))]),
    "softmax behind the last step": ((4, 3), [layers.LSTM(2), layers.Softmax()]),
    "softmax behind both ways": ((4, 3), [layers.Bidirectional(layers.LSTM(2)), layers.Softmax()]),
    "one channel": ((4, 1), [norm()]),
    "one channel, frozen": ((1, 4), [norm(axis=1, trainable=False)]),
    "several channels of an axis": ((4, 5, 3), [EACH_STEP(norm(axis=1))]),
}


@pytest.mark.parametrize("name", CARRIED)
def test_what_keras_runs_is_not(name: str) -> None:
    shape, after = CARRIED[name]
    check_masks(masked(shape, *after))


def test_a_mask_among_the_arguments_counts() -> None:
    x, mask = Input((4, 3)), Input((4,), dtype="bool")
    one = layers.RNN([layers.GRUCell(2)])
    with pytest.raises(SpecError, match="a stack of one cell"):
        check_masks(Model([x, mask], one(x, mask=mask)))


def test_the_shape_of_a_mask() -> None:
    spec = masked((4, 5, 3), layers.Dense(2, name="dense"), EACH_STEP(layers.Flatten(), name="flat"),
                  layers.LSTM(2, name="read"))
    masks = mask_shapes(spec)
    assert (masks["dense"], masks["flat"], masks["read"]) == ((None, 4, 5), (None, 4, 5), None)
