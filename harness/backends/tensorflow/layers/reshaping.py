"""Enlarging images in float64: Keras's layer but for its kernel, which computes in float32 whatever the data's type."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.layers.stock import arguments
from harness.plan import interpolation
from harness.spec.layers import reshaping as spec


class ExactUpSampling2D(keras.layers.UpSampling2D):
    """keras.layers.UpSampling2D, bilinear or bicubic, as one matrix per axis."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, height, width, _ = inputs.shape
        if height is None or width is None:
            return super().call(inputs)
        rows = tf.constant(interpolation.matrix(self.interpolation, height, self.size[0]), inputs.dtype)
        columns = tf.constant(interpolation.matrix(self.interpolation, width, self.size[1]), inputs.dtype)
        return tf.einsum("ih,nhwc,jw->nijc", rows, inputs, columns)


def exact_up_sampling2d(layer: spec.UpSampling2D, **common: Any) -> keras.layers.Layer | None:
    """The exact layer, None where the stock one is exact."""
    if layer.interpolation == "nearest":
        return None
    return ExactUpSampling2D(**arguments(layer), **common)


EXACT = {spec.UpSampling2D: exact_up_sampling2d}
