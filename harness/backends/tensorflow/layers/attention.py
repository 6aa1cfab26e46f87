"""Attention in Keras whose dropout comes from the tape."""

from __future__ import annotations

from typing import Any

import keras

from harness.backends.tensorflow.layers.regularization import KeyedDropout
from harness.backends.tensorflow.layers.stock import arguments
from harness.backends.tensorflow.randomness import Keys
from harness.spec.layers import attention as spec


class KeyedMultiHeadAttention(keras.layers.MultiHeadAttention):
    """keras.layers.MultiHeadAttention with the dropout of its scores from the tape."""

    def __init__(self, *args: Any, keys: Keys, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys

    def _build_attention(self, rank: int) -> None:
        super()._build_attention(rank)
        # Under the attention's own name, by which the tape knows its key.
        self._dropout_layer = KeyedDropout(self._dropout, keys=self.keys, name=self.name, dtype=self.dtype_policy)


def keyed_attention(layer: spec.MultiHeadAttention, **common: Any) -> keras.layers.Layer:
    return KeyedMultiHeadAttention(**arguments(layer), **common)


KEYED = {spec.MultiHeadAttention: keyed_attention}
