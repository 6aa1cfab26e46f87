"""Poolings that stock Keras cannot do, or not rightly, out of poolings of images and of steps.

- TensorFlow pools no volumes in float64.
- The gradient of its MaxPool3D goes to every one of equal values in a window, in full; all other poolings give
  it to the first.
- Adaptive maxima with one window (or of one place) make Keras pool with a window beyond the input as well
  (nn.py: big_pool): that result is not used, but its gradient is memory that nobody wrote.

Windows are products of windows along each dimension: pooled one after the other they give the same values, and
means too, because what a mean divides by is such a product.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.layers.stock import arguments
from harness.spec.layers import pooling as spec
from harness.spec.layers.base import Layer

Pool = Callable[[tf.Tensor], tf.Tensor]


def over_images(x_NDHWC: tf.Tensor, pool: Pool) -> tf.Tensor:
    """pool (N * D, H, W, C) and put the result back into volumes."""
    shape = tf.shape(x_NDHWC)
    y_NHWC = pool(tf.reshape(x_NDHWC, tf.concat([[shape[0] * shape[1]], shape[2:]], 0)))
    y_NDHWC = tf.reshape(y_NHWC, tf.concat([shape[:2], tf.shape(y_NHWC)[1:]], 0))
    return tf.ensure_shape(y_NDHWC, [*x_NDHWC.shape[:2], *y_NHWC.shape[1:]])


def over_axis(x: tf.Tensor, axis: int, pool: Pool) -> tf.Tensor:
    """pool one dimension as steps: what comes before it counts as examples, what comes after it as channels."""
    shape = tf.shape(x)
    steps = tf.reshape(x, tf.stack([tf.reduce_prod(shape[:axis]), shape[axis], tf.reduce_prod(shape[axis + 1:])]))
    after = x.shape[axis + 1:]
    channels = after.num_elements() if after.is_fully_defined() else None
    y_NTC = pool(tf.ensure_shape(steps, [None, x.shape[axis], channels]))
    y = tf.reshape(y_NTC, tf.concat([shape[:axis], tf.shape(y_NTC)[1:2], shape[axis + 1:]], 0))
    return tf.ensure_shape(y, [*x.shape[:axis], y_NTC.shape[1], *after])


def adaptive_maximum(x: tf.Tensor, sizes: tuple[int, ...]) -> tf.Tensor:
    """Keras's adaptive maxima, the dimensions in Keras's order."""
    for axis, size in enumerate(sizes, 1):
        if size == 1:
            x = over_axis(x, axis, lambda steps: keras.ops.max_pool(steps, steps.shape[1]))
        elif x.shape[axis] == 1:
            x = tf.repeat(x, size, axis)
        else:
            pool = functools.partial(keras.ops.adaptive_max_pool, output_size=size, data_format="channels_last")
            x = over_axis(x, axis, pool)
    return x


class _ByDimension:
    """The call of a windowed pooling of volumes; mixed into Keras's classes."""

    pool: Any

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        size, strides, padding = self.pool_size, self.strides, self.padding  # type: ignore[attr-defined]
        images = over_images(inputs, lambda x: self.pool(x, size[1:], strides[1:], padding))
        return over_axis(images, 1, lambda x: self.pool(x, size[:1], strides[:1], padding))


class MaxPooling3DByDimension(_ByDimension, keras.layers.MaxPooling3D):
    """keras.layers.MaxPooling3D out of two poolings."""

    pool = staticmethod(keras.ops.max_pool)


class AveragePooling3DByDimension(_ByDimension, keras.layers.AveragePooling3D):
    """keras.layers.AveragePooling3D out of two poolings."""

    pool = staticmethod(keras.ops.average_pool)


class AdaptiveAveragePooling3DByDimension(keras.layers.AdaptiveAveragePooling3D):
    """keras.layers.AdaptiveAveragePooling3D out of two poolings."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        size, pool = self.output_size, keras.ops.adaptive_average_pool
        deep = over_axis(inputs, 1, lambda x: pool(x, size[0], data_format="channels_last"))
        return over_images(deep, lambda x: pool(x, size[1:], data_format="channels_last"))


class _AdaptiveMaximum:
    """The call of adaptive maxima; mixed into Keras's classes."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return adaptive_maximum(inputs, self.output_size)  # type: ignore[attr-defined]


class AdaptiveMaxPooling1DByDimension(_AdaptiveMaximum, keras.layers.AdaptiveMaxPooling1D):
    """keras.layers.AdaptiveMaxPooling1D with a gradient everywhere."""


class AdaptiveMaxPooling2DByDimension(_AdaptiveMaximum, keras.layers.AdaptiveMaxPooling2D):
    """keras.layers.AdaptiveMaxPooling2D with a gradient everywhere."""


class AdaptiveMaxPooling3DByDimension(_AdaptiveMaximum, keras.layers.AdaptiveMaxPooling3D):
    """keras.layers.AdaptiveMaxPooling3D out of three poolings."""


def _in_float64(layer: Any, keyed: bool, dtype: str) -> bool:
    return dtype == "float64"


def _in_float64_or_training(layer: Any, keyed: bool, dtype: str) -> bool:
    return dtype == "float64" or keyed or 1 in getattr(layer, "output_size", ())


def _with_one_window(layer: Any, keyed: bool, dtype: str) -> bool:
    return keyed or 1 in layer.output_size


def _instead(keras_class: Any, needed: Callable[[Any, bool, str], bool]) -> Callable[..., Any]:
    def build(layer: Layer, keyed: bool, **common: Any) -> keras.layers.Layer | None:
        if not needed(layer, keyed, common["dtype"]):
            return None
        trainable = common.pop("trainable", True)
        built = keras_class(**arguments(layer), **common)
        built.trainable = trainable
        return built

    return build


REPLACED = {
    spec.MaxPooling3D: _instead(MaxPooling3DByDimension, _in_float64_or_training),
    spec.AveragePooling3D: _instead(AveragePooling3DByDimension, _in_float64),
    spec.AdaptiveAveragePooling3D: _instead(AdaptiveAveragePooling3DByDimension, _in_float64),
    spec.AdaptiveMaxPooling1D: _instead(AdaptiveMaxPooling1DByDimension, _with_one_window),
    spec.AdaptiveMaxPooling2D: _instead(AdaptiveMaxPooling2DByDimension, _with_one_window),
    spec.AdaptiveMaxPooling3D: _instead(AdaptiveMaxPooling3DByDimension, _in_float64_or_training),
}
