"""Recurrent layers in Keras whose dropout masks come from the tape, and Bidirectional around stock layers.

Each keyed layer is Keras's own: it finds the masks that its cell would draw (dropout_rnn_cell.py: drawn once
per call, before the loop over the steps) already there.

A row of the drawing holds all masks of one example, one layer after the other: first those of the input, then
those of the state. backends/pytorch/layers/dropout_masks.py draws the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.layers.stock import arguments, stock
from harness.backends.tensorflow.randomness import Keys, bits
from harness.plan import randomness
from harness.spec.layers import recurrent as spec


def preset_masks(
    key: tf.Tensor | None, layers: Sequence[spec.Recurrent], cells: Sequence[Any], sequences: tf.Tensor
) -> None:
    """Gives each layer's cell its masks for this call: 0 or 1 / (1 - rate). sequences: (B, T, I).

    key: None in inference, where a cell reads no mask but would draw one all the same.
    """
    if key is None:
        for cell in cells:
            cell._dropout_mask = cell._recurrent_dropout_mask = tf.ones((), sequences.dtype)
        return
    batch, features = tf.shape(sequences)[0], sequences.shape[-1]
    parts: list[tuple[int, int, float]] = []
    for layer in layers:
        of_input, of_state = layer.dropout_masks
        parts += [(of_input, features, layer.dropout), (of_state, layer.units, layer.recurrent_dropout)]
    drawn = bits(key, tf.stack([batch, sum(count * size for count, size, _ in parts)]))
    sections = tf.split(drawn, [count * size for count, size, _ in parts], axis=1)
    masks: list[Any] = []
    for section, (count, size, rate) in zip(sections, parts, strict=True):
        scaled = tf.cast(section >= randomness.threshold(rate), sequences.dtype) * (1.0 / (1.0 - rate))
        masks.append([scaled[:, place * size:(place + 1) * size] for place in range(count)])
    for cell, of_input, of_state in zip(cells, masks[::2], masks[1::2], strict=True):
        # A cell with `dropout_mask_count` expects a list, the others one tensor.
        several = hasattr(cell, "dropout_mask_count")
        cell._dropout_mask = _as_keras(of_input, several)
        cell._recurrent_dropout_mask = _as_keras(of_state, several)


def _as_keras(masks: list[tf.Tensor], several: bool) -> Any:
    if not masks:
        return None
    return masks if several else masks[0]


class _Keyed:
    """The call of a keyed recurrent layer; mixed into Keras's classes."""

    def __init__(self, *args: Any, keys: Keys, recurrent: spec.Recurrent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys
        self.recurrent = recurrent

    def call(
        self, sequences: tf.Tensor, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        key = self.keys.take(self.name) if training else None  # type: ignore[attr-defined]
        preset_masks(key, [self.recurrent], [self.cell], sequences)  # type: ignore[attr-defined]
        return super().call(  # type: ignore[misc]
            sequences, initial_state=initial_state, mask=mask, training=training)


class KeyedSimpleRNN(_Keyed, keras.layers.SimpleRNN):
    """keras.layers.SimpleRNN with its masks from the tape."""


class KeyedLSTM(_Keyed, keras.layers.LSTM):
    """keras.layers.LSTM with its masks from the tape."""


class KeyedGRU(_Keyed, keras.layers.GRU):
    """keras.layers.GRU with its masks from the tape."""


class KeyedBidirectional(keras.layers.Bidirectional):
    """keras.layers.Bidirectional with the masks of both directions from one drawing of the tape."""

    def __init__(self, *args: Any, keys: Keys, recurrent: spec.Recurrent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys
        self.recurrent = recurrent

    def call(
        self, sequences: tf.Tensor, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        key = self.keys.take(self.name) if training else None
        cells = [self.forward_layer.cell, self.backward_layer.cell]
        preset_masks(key, [self.recurrent] * 2, cells, sequences)
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)


def _keyed(keras_class: Callable[..., keras.layers.Layer]) -> Callable[..., keras.layers.Layer]:
    def build(layer: spec.Recurrent, *, keys: Keys, **common: Any) -> keras.layers.Layer:
        return keras_class(**arguments(layer), keys=keys, recurrent=layer, **common)

    return build


def bidirectional(layer: spec.Bidirectional, **common: Any) -> keras.layers.Layer:
    """Keras's Bidirectional around the Keras layer of `layer.layer`."""
    inner = stock(layer.layer, dtype=common.get("dtype"), trainable=common.get("trainable", True))
    return keras.layers.Bidirectional(inner, merge_mode=layer.merge_mode, **common)


def keyed_bidirectional(layer: spec.Bidirectional, *, keys: Keys, **common: Any) -> keras.layers.Layer:
    inner = stock(layer.layer, dtype=common.get("dtype"), trainable=common.get("trainable", True))
    return KeyedBidirectional(inner, merge_mode=layer.merge_mode, keys=keys, recurrent=layer.layer, **common)


KEYED = {
    spec.SimpleRNN: _keyed(KeyedSimpleRNN),
    spec.LSTM: _keyed(KeyedLSTM),
    spec.GRU: _keyed(KeyedGRU),
    spec.Bidirectional: keyed_bidirectional,
}
# Layers whose arguments hold a layer: stock, but for the conversion of that argument.
NESTED = {spec.Bidirectional: bidirectional}
