"""Convolutions of volumes in Keras where TensorFlow's own go wrong.

Its float64 kernel (and the float32 one of builds without oneDNN) takes padding "same" with strides beyond the kernel
for a negative padding, and reads the volume from the wrong place: outputs and gradients are off by their own size.
The transposed convolution is its gradient, and goes wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.layers.stock import arguments
from harness.spec.layers import convolutional as spec
from harness.spec.layers import transposed


class PaddedConv3D(keras.layers.Conv3D):
    """keras.layers.Conv3D with padding="same" that pads by itself, never by less than nothing."""

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        known, sizes = inputs.shape, tf.shape(inputs)
        pads: list[Any] = []
        for axis, (width, stride) in enumerate(zip(self.kernel_size, self.strides, strict=True), 1):
            size = known[axis] if known[axis] is not None else sizes[axis]
            total = (-(-size // stride) - 1) * stride + width - size
            total = tf.maximum(total, 0) if known[axis] is None else max(total, 0)
            pads.append([total // 2, total - total // 2])
        padded = tf.pad(inputs, [[0, 0], *pads, [0, 0]])
        return keras.ops.conv(padded, kernel, strides=list(self.strides), padding="valid", data_format="channels_last")


class PaddedConv3DTranspose(keras.layers.Conv3DTranspose):
    """keras.layers.Conv3DTranspose with padding="same" that cuts or pads by itself what comes out."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        sizes = tf.shape(inputs)
        whole = [(sizes[axis] - 1) * stride + width
                 for axis, (width, stride) in enumerate(zip(self.kernel_size, self.strides, strict=True), 1)]
        outputs = tf.nn.conv3d_transpose(inputs, self.kernel, [sizes[0], *whole, self.filters],
                                         [1, *self.strides, 1], "VALID")
        extras = self.output_padding if isinstance(self.output_padding, (list, tuple)) else (self.output_padding,) * 3
        cuts, pads = [], []
        for width, stride, extra in zip(self.kernel_size, self.strides, extras, strict=True):
            # What is too much, whatever the size of the input (keras/src/backend/common/backend_utils.py).
            total = width - stride if extra is None else width - width % 2 - extra
            cuts.append(slice(max(total, 0) // 2, -(max(total, 0) - max(total, 0) // 2) or None))
            pads.append([0, max(-total, 0)])
        outputs = tf.pad(outputs[:, cuts[0], cuts[1], cuts[2]], [[0, 0], *pads, [0, 0]])
        outputs = tf.ensure_shape(outputs, self.compute_output_shape(inputs.shape))
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)


def _where_needed(keras_class: Callable[..., keras.layers.Layer]) -> Callable[..., keras.layers.Layer | None]:
    def build(layer: Any, keyed: bool, **common: Any) -> keras.layers.Layer | None:
        """The layer where strides go beyond the kernel, None where the stock one is right."""
        beyond = any(stride > width for stride, width in zip(layer.strides, layer.kernel_size, strict=True))
        return keras_class(**arguments(layer), **common) if layer.padding == "same" and beyond else None

    return build


REPLACED = {spec.Conv3D: _where_needed(PaddedConv3D), transposed.Conv3DTranspose: _where_needed(PaddedConv3DTranspose)}
