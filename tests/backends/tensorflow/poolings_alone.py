"""The poolings that replace stock ones (backends/tensorflow/layers/pooling.py) against the stock ones, in float32.

Prints, as JSON, by layer: the largest difference of outputs and of gradients, relative to values of about 1.
"""

from __future__ import annotations

import json

import keras
import numpy as np
import tensorflow as tf

from harness import layers
from harness.backends.tensorflow.layers.pooling import REPLACED
from harness.backends.tensorflow.layers.stock import stock

VOLUME = (2, 5, 6, 7, 2)
PAIRS = {
    "max": (layers.MaxPooling3D(2), VOLUME),
    "max same": (layers.MaxPooling3D((2, 3, 1), (3, 1, 2), "same"), VOLUME),
    "average": (layers.AveragePooling3D(2), VOLUME),
    "average same": (layers.AveragePooling3D(3, 2, "same"), VOLUME),
    "adaptive average": (layers.AdaptiveAveragePooling3D((3, 4, 2)), VOLUME),
    "adaptive max": (layers.AdaptiveMaxPooling3D((3, 4, 2)), VOLUME),
    "adaptive max of images": (layers.AdaptiveMaxPooling2D((3, 4)), (2, 7, 6, 3)),
    "adaptive max of steps": (layers.AdaptiveMaxPooling1D(4), (2, 7, 3)),
}


def difference(layer: layers.Layer, shape: tuple[int, ...]) -> float:
    """Distinct values: no ties, at which the gradients are meant to differ."""
    size = int(np.prod(shape))
    x = tf.constant(np.random.default_rng(0).permutation(size).reshape(shape) / size, tf.float32)
    results = []
    # In float32 some builders have a replacement for training only.
    exact = REPLACED[type(layer)](layer, True, dtype="float32") or REPLACED[type(layer)](layer, True, dtype="float64")
    for built in (stock(layer, dtype="float32"), exact):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = built(tf.cast(x, built.compute_dtype))
            total = tf.reduce_sum(y * tf.cast(tf.reshape(tf.range(tf.size(y)) % 7, tf.shape(y)), y.dtype))
        results.append((y, tape.gradient(total, x)))
    return max(float(keras.ops.max(keras.ops.abs(tf.cast(a, tf.float32) - tf.cast(b, tf.float32))))
               for a, b in zip(*results, strict=True))


if __name__ == "__main__":
    print(json.dumps({name: difference(*pair) for name, pair in PAIRS.items()}))
