"""Recurrent layers in Keras: stock cells and layers, and those whose dropout masks come from the tape.

Each keyed layer is Keras's own: it finds the masks that its cells would draw (dropout_rnn_cell.py: drawn once
per call, before the loop over the steps) already there.

A row of the drawing holds all masks of one example, one cell after the other: first those of the input, then
those of the state. backends/pytorch/layers/dropout_masks.py draws the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.layers.stock import arguments
from harness.backends.tensorflow.randomness import Keys, bits
from harness.plan import randomness
from harness.spec.layers import bidirectional as spec_bidirectional
from harness.spec.layers import cells as spec_cells
from harness.spec.layers import recurrent as spec
from harness.spec.layers import recurrent_convolutional as spec_convolutional
from harness.spec.layers.spatial import is_channels_first


def preset_masks(
    key: tf.Tensor | None, parts: Sequence[spec_cells.Part], cells: Sequence[Any], sequences: tf.Tensor
) -> None:
    """Gives each cell its masks for this call, 0 or 1 / (1 - rate); parts: two for each cell.

    key: None in inference, where a cell reads no mask but would draw one all the same.
    """
    if key is None:
        for cell in cells:
            cell._dropout_mask = cell._recurrent_dropout_mask = tf.ones((), sequences.dtype)
        return
    sizes = [count * math.prod(shape) for count, shape, _ in parts]
    batch = tf.shape(sequences)[0]
    sections = tf.split(bits(key, tf.stack([batch, sum(sizes)])), sizes, axis=1)
    masks: list[Any] = []
    for section, (count, shape, rate) in zip(sections, parts, strict=True):
        scaled = tf.cast(section >= randomness.threshold(rate), sequences.dtype) * (1.0 / (1.0 - rate))
        masks.append([tf.reshape(mask, (-1, *shape)) for mask in tf.split(scaled, count, axis=1)] if count else [])
    for cell, of_input, of_state in zip(cells, masks[::2], masks[1::2], strict=True):
        # A cell with `dropout_mask_count` expects a list, the others one tensor.
        several = hasattr(cell, "dropout_mask_count")
        cell._dropout_mask = _as_keras(of_input, several)
        cell._recurrent_dropout_mask = _as_keras(of_state, several)


def _as_keras(masks: list[tf.Tensor], several: bool) -> Any:
    if not masks:
        return None
    return masks if several else masks[0]


def cells_of(layer: keras.layers.RNN) -> list[Any]:
    """The cells that a step of a Keras layer goes through."""
    return list(getattr(layer.cell, "cells", [layer.cell]))


class _Keyed:
    """The call of a keyed recurrent layer; mixed into Keras's classes. recurrent: the spec layer."""

    def __init__(self, *args: Any, keys: Keys, recurrent: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys
        self.recurrent = recurrent

    def drawing_cells(self) -> list[Any]:
        return cells_of(self)  # type: ignore[arg-type]

    def call(
        self, sequences: tf.Tensor, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        key = self.keys.take(self.name) if training else None  # type: ignore[attr-defined]
        step = (sequences.shape[0], *sequences.shape[2:])
        preset_masks(key, self.recurrent.dropout_parts(step), self.drawing_cells(), sequences)
        return super().call(  # type: ignore[misc]
            sequences, initial_state=initial_state, mask=mask, training=training)


class KeyedBidirectional(_Keyed, keras.layers.Bidirectional):
    """keras.layers.Bidirectional with the masks of both directions from one drawing of the tape."""

    def drawing_cells(self) -> list[Any]:
        return [*cells_of(self.forward_layer), *cells_of(self.backward_layer)]


def _mixed(name: str) -> type:
    """Keras's layer of that name with its masks from the tape."""
    return type(f"Keyed{name}", (_Keyed, getattr(keras.layers, name)), {})


KEYED_CLASSES: dict[Any, type] = {cls: _mixed(cls.__name__) for cls in (*spec.LAYERS, *spec_convolutional.LAYERS)}


def build_cell(layer: Any, **common: Any) -> keras.layers.Layer:
    """The Keras cell of a spec cell; common: dtype and, of a cell called by itself, name and trainable."""
    options = {**common, "trainable": common.get("trainable", True) and layer.trainable}
    if isinstance(layer, spec_cells.StackedRNNCells):
        cells = [build_cell(cell, dtype=common.get("dtype"), trainable=options["trainable"]) for cell in layer.cells]
        return keras.layers.StackedRNNCells(cells, **options)
    return getattr(keras.layers, type(layer).__name__)(**arguments(layer), **options)


def build_recurrent(layer: spec.Recurrent, **common: Any) -> keras.layers.Layer:
    """The Keras layer of a spec layer, from the tape where common holds `keys`."""
    trainable = common.pop("trainable", True)
    if "keys" in common:
        keras_class, common = KEYED_CLASSES[type(layer)], {**common, "recurrent": layer}
    else:
        keras_class = getattr(keras.layers, type(layer).__name__)
    fields = arguments(layer)
    if isinstance(layer, spec.RNN):
        fields["cell"] = build_cell(layer.cell, dtype=common.get("dtype"), trainable=trainable)
    built = keras_class(**fields, **common)
    settle(built, layer, trainable)
    return built


def build_bidirectional(layer: spec_bidirectional.Bidirectional, **common: Any) -> keras.layers.Layer:
    """Keras's Bidirectional around stock layers, from the tape where common holds `keys`."""
    trainable = common.pop("trainable", True)
    ahead, back = (inner and build_recurrent(inner, dtype=common.get("dtype"))
                   for inner in (layer.layer, layer.backward_layer))
    keras_class: Callable[..., keras.layers.Layer] = keras.layers.Bidirectional
    if "keys" in common:
        keras_class, common = KeyedBidirectional, {**common, "recurrent": layer}
    built = keras_class(ahead, merge_mode=layer.merge_mode, backward_layer=back, **common)
    settle(built.forward_layer, layer.layer, layer.layer.trainable and trainable)
    settle(built.backward_layer, layer.second, layer.second.trainable and trainable)
    return built


def settle(built: keras.layers.Layer, layer: spec.Recurrent, trainable: bool) -> None:
    """What Keras's constructors leave undone: a frozen layer's cell is frozen; the convolutions of channels first,
    which TensorFlow does not run on a CPU, run between two transposes."""
    if not trainable:
        built.trainable = False
    if isinstance(layer, spec_convolutional.ConvLSTM) and is_channels_first(layer) \
            and not isinstance(built.cell.input_conv, _Transposed):
        cell = built.cell
        cell.input_conv = _Transposed(cell, cell.input_conv)
        cell.recurrent_conv = _Transposed(cell, cell.recurrent_conv)


class _Transposed:
    """A method of a ConvLSTMCell, called as if its channels were last."""

    def __init__(self, cell: Any, method: Callable[..., tf.Tensor]) -> None:
        self.cell = cell
        self.method = method

    def __call__(self, x: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
        self.cell.data_format = "channels_last"
        try:
            y = self.method(keras.ops.moveaxis(x, 1, -1), *args, **kwargs)
        finally:
            self.cell.data_format = "channels_first"
        return keras.ops.moveaxis(y, -1, 1)


RECURRENT = (*spec.LAYERS, *spec_convolutional.LAYERS)
KEYED = {**dict.fromkeys(RECURRENT, build_recurrent), spec_bidirectional.Bidirectional: build_bidirectional}
# Layers whose arguments hold a layer, or which stock does not build rightly.
NESTED = {**KEYED, **dict.fromkeys(spec_cells.LAYERS, build_cell)}
