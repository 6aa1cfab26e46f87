"""Sums of tensors of different shapes in Keras.

Keras takes a tensor with one dimension above 1 for a bias and adds it along axis 1 or the last one, whichever has its
size (backend/tensorflow/numpy.py: add). Under `fit` the batch's size is unknown and a batch is no such tensor; here
it is known, so that (4, 1) would be added to (4, 4) along the wrong axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.regularizers import regularizer
from harness.spec.layers import merging as spec
from harness.spec.layers.base import Layer, Shape


class BroadcastingAdd(keras.layers.Add):
    """keras.layers.Add by TensorFlow's own addition."""

    def _merge_function(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        output = inputs[0]
        for item in inputs[1:]:
            output = tf.add(output, item)
        return output


class BroadcastingAverage(keras.layers.Average):
    """keras.layers.Average likewise."""

    def _merge_function(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        output = inputs[0]
        for item in inputs[1:]:
            output = tf.add(output, item)
        return tf.divide(output, len(inputs))


BROADCASTING: dict[type[Layer], Callable[..., keras.layers.Layer]] = {
    spec.Add: BroadcastingAdd, spec.Average: BroadcastingAverage,
}


def broadcasting(layer: Layer, shapes: tuple[Shape, ...], **common: Any) -> keras.layers.Layer | None:
    """The layer where shapes differ, None where the stock one is right."""
    if type(layer) not in BROADCASTING or len(set(shapes)) == 1:
        return None
    built = BROADCASTING[type(layer)](**common)
    if layer.activity_regularizer is not None:
        built.activity_regularizer = regularizer(layer.activity_regularizer)
    return built
