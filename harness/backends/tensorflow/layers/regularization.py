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


def mask_shape(inputs: tf.Tensor, noise_shape: Any) -> tf.Tensor:
    """The mask's shape; None in noise_shape: the input's size."""
    shape = tf.shape(inputs)
    if noise_shape is None:
        return shape
    return tf.stack([shape[axis] if size is None else size for axis, size in enumerate(noise_shape)])


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
        keep = keep_mask(self.keys.take(self.name), mask_shape(inputs, self.noise_shape), self.rate)
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


class KeyedGaussianDropout(keras.layers.GaussianDropout):
    """keras.layers.GaussianDropout with its noise from the tape."""

    def __init__(self, *args: Any, keys: Keys, stddev: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys
        self.stddev = stddev

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.rate == 0:
            return inputs
        noise = normal(self.keys.take(self.name), tf.shape(inputs), inputs.dtype)
        return inputs * (1.0 + tf.constant(self.stddev, inputs.dtype) * noise)


class KeyedAlphaDropout(keras.layers.AlphaDropout):
    """keras.layers.AlphaDropout with its mask from the tape. affine: (SELU's negative limit, a, b)."""

    def __init__(self, *args: Any, keys: Keys, affine: tuple[float, float, float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys
        self.affine = affine

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.rate == 0:
            return inputs
        keep = keep_mask(self.keys.take(self.name), mask_shape(inputs, self.noise_shape), self.rate)
        limit, a, b = (tf.constant(value, inputs.dtype) for value in self.affine)
        return a * tf.where(keep, inputs, limit) + b


def keyed_dropout(layer: spec.Dropout, **common: Any) -> keras.layers.Layer:
    return KeyedDropout(**arguments(layer), **common)


def keyed_spatial_dropout(layer: spec.SpatialDropout1D, **common: Any) -> keras.layers.Layer:
    return KeyedDropout(layer.rate, noise_shape=(None, *(1,) * (layer.rank - 2), None), **common)


def keyed_gaussian_noise(layer: spec.GaussianNoise, **common: Any) -> keras.layers.Layer:
    return KeyedGaussianNoise(**arguments(layer), **common)


def keyed_gaussian_dropout(layer: spec.GaussianDropout, **common: Any) -> keras.layers.Layer:
    return KeyedGaussianDropout(**arguments(layer), stddev=layer.stddev, **common)


def keyed_alpha_dropout(layer: spec.AlphaDropout, **common: Any) -> keras.layers.Layer:
    return KeyedAlphaDropout(**arguments(layer), affine=layer.affine(), **common)


KEYED = {
    spec.Dropout: keyed_dropout,
    spec.SpatialDropout1D: keyed_spatial_dropout,
    spec.SpatialDropout2D: keyed_spatial_dropout,
    spec.SpatialDropout3D: keyed_spatial_dropout,
    spec.GaussianNoise: keyed_gaussian_noise,
    spec.GaussianDropout: keyed_gaussian_dropout,
    spec.AlphaDropout: keyed_alpha_dropout,
}
