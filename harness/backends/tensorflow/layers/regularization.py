"""Dropout and noise in Keras whose random numbers come from the tape.

Each is Keras's layer of the same name but for where its random numbers come from
(keras/src/layers/regularization).
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.layers.stock import arguments
from harness.backends.tensorflow.randomness import Keys, keep_mask, normal
from harness.spec.layers import regularization as spec


class KeyedDropout(keras.layers.Dropout):
    """keras.layers.Dropout with its mask from the tape."""

    def __init__(self, *args: Any, keys: Keys, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            return tf.zeros_like(inputs)
        shape = tf.shape(inputs)
        if self.noise_shape is not None:
            shape = tf.stack([shape[axis] if size is None else size for axis, size in enumerate(self.noise_shape)])
        keep = keep_mask(self.keys.take(self.name), shape, self.rate)
        # 1 / (1 - rate) first, as Keras's backend scales (tf nn_ops.py: stateless_dropout).
        return tf.where(keep, inputs * tf.constant(1.0 / (1.0 - self.rate), inputs.dtype), tf.zeros((), inputs.dtype))


class KeyedGaussianNoise(keras.layers.GaussianNoise):
    """keras.layers.GaussianNoise with its noise from the tape."""

    def __init__(self, *args: Any, keys: Keys, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.stddev == 0:
            return inputs
        noise = normal(self.keys.take(self.name), tf.shape(inputs), inputs.dtype)
        return inputs + tf.constant(self.stddev, inputs.dtype) * noise


def keyed_dropout(layer: spec.Dropout, **common: Any) -> keras.layers.Layer:
    return KeyedDropout(**arguments(layer), **common)


def keyed_spatial_dropout(layer: spec.SpatialDropout1D, **common: Any) -> keras.layers.Layer:
    return KeyedDropout(layer.rate, noise_shape=(None, *(1,) * (layer.rank - 2), None), **common)


def keyed_gaussian_noise(layer: spec.GaussianNoise, **common: Any) -> keras.layers.Layer:
    return KeyedGaussianNoise(**arguments(layer), **common)


KEYED = {
    spec.Dropout: keyed_dropout,
    spec.SpatialDropout1D: keyed_spatial_dropout,
    spec.SpatialDropout2D: keyed_spatial_dropout,
    spec.GaussianNoise: keyed_gaussian_noise,
}
