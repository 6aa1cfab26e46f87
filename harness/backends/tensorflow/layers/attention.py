"""Attention in Keras whose dropout comes from the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.layers.regularization import KeyedDropout
from harness.backends.tensorflow.layers.stock import arguments
from harness.backends.tensorflow.randomness import Keys, keep_mask
from harness.spec.layers import attention as spec
from harness.spec.layers.base import Layer


class KeyedMultiHeadAttention(keras.layers.MultiHeadAttention):
    """keras.layers.MultiHeadAttention with the dropout of its scores from the tape."""

    def __init__(self, *args: Any, keys: Keys, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys

    def _build_attention(self, rank: int) -> None:
        super()._build_attention(rank)
        # Under the attention's own name, by which the tape knows its key.
        self._dropout_layer = KeyedDropout(self._dropout, keys=self.keys, name=self.name, dtype=self.dtype_policy)


class KeyedGroupQueryAttention(keras.layers.GroupQueryAttention):
    """keras.layers.GroupQueryAttention with the dropout of its scores from the tape."""

    def __init__(self, *args: Any, keys: Keys, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        super().build(query_shape, value_shape, key_shape)
        self._dropout_layer = KeyedDropout(self.dropout, keys=self.keys, name=self.name, dtype=self.dtype_policy)


class _KeyedScores:
    """The dropout of Attention's scores from the tape; mixed into Keras's classes."""

    def __init__(self, *args: Any, keys: Keys, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys

    def _apply_scores(
        self, scores: tf.Tensor, value: tf.Tensor, scores_mask: Any = None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        output, weights = super()._apply_scores(scores, value, scores_mask=scores_mask)  # type: ignore[misc]
        if not training:
            return output, weights
        rate: float = self.dropout  # type: ignore[attr-defined]
        keep = keep_mask(self.keys.take(self.name), tf.shape(weights), rate)  # type: ignore[attr-defined]
        factor = tf.constant(1.0 / (1.0 - rate), weights.dtype)
        weights = tf.where(keep, weights * factor, tf.zeros((), weights.dtype))
        return tf.matmul(weights, value), weights


class KeyedAttention(_KeyedScores, keras.layers.Attention):
    """keras.layers.Attention with its dropout from the tape."""


class KeyedAdditiveAttention(_KeyedScores, keras.layers.AdditiveAttention):
    """keras.layers.AdditiveAttention with its dropout from the tape."""


def _keyed(keras_class: Callable[..., keras.layers.Layer]) -> Callable[..., keras.layers.Layer]:
    def build(layer: Layer, **common: Any) -> keras.layers.Layer:
        return keras_class(**arguments(layer), **common)

    return build


KEYED = {
    spec.MultiHeadAttention: _keyed(KeyedMultiHeadAttention),
    spec.GroupQueryAttention: _keyed(KeyedGroupQueryAttention),
    spec.Attention: _keyed(KeyedAttention),
    spec.AdditiveAttention: _keyed(KeyedAdditiveAttention),
}
