"""Enlarging images in float64: Keras's layer but for its kernel, which computes in float32 whatever the data's type."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.backends.tensorflow.layers.stock import arguments
from harness.plan import interpolation
from harness.spec.layers import reshaping as spec


class ExactUpSampling2D(keras.layers.UpSampling2D):
    """keras.layers.UpSampling2D, bilinear, bicubic or of Lanczos's kernels, as one matrix per axis."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, height, width, _ = inputs.shape
        if height is None or width is None:
            return super().call(inputs)
        rows = tf.constant(_matrix(self.interpolation, height, self.size[0]), inputs.dtype)
        columns = tf.constant(_matrix(self.interpolation, width, self.size[1]), inputs.dtype)
        return tf.einsum("ih,nhwc,jw->nijc", rows, inputs, columns)


def _matrix(method: str, size: int, factor: int) -> np.ndarray:
    if method.startswith("lanczos"):
        return interpolation.resize_matrix(method, size, size * factor)
    return interpolation.matrix(method, size, factor)


def exact_up_sampling2d(layer: spec.UpSampling2D, **common: Any) -> keras.layers.Layer | None:
    """The exact layer, None where the stock one is exact."""
    if layer.interpolation == "nearest":
        return None
    return ExactUpSampling2D(**arguments(layer), **common)


def lanczos_up_sampling2d(layer: spec.UpSampling2D, keyed: bool, **common: Any) -> keras.layers.Layer | None:
    """The exact layer where TensorFlow's kernel has no gradient: Lanczos's kernels in float64."""
    if common["dtype"] != "float64" or not layer.interpolation.startswith("lanczos"):
        return None
    return exact_up_sampling2d(layer, **common)


EXACT = {spec.UpSampling2D: exact_up_sampling2d}
REPLACED = {spec.UpSampling2D: lanczos_up_sampling2d}
