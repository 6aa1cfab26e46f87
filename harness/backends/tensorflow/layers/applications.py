"""The layers of keras.applications, which stand in no public module of Keras."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras.src.applications import convnext, inception_resnet_v2

from harness.backends.tensorflow.layers.stock import arguments
from harness.backends.tensorflow.randomness import Keys, keep_mask
from harness.spec.layers import applications as spec


class NamedLayerScale(convnext.LayerScale):
    """Keras's LayerScale, whose weight has a name: Keras calls it "variable_" and a running number."""

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight(
            shape=(self.projection_dim,), initializer=keras.initializers.Constant(self.init_values), name="gamma")


class TwoScaleLayer(inception_resnet_v2.CustomScaleLayer):
    """Keras's CustomScaleLayer, called on two tensors instead of a list."""

    def call(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        return super().call([first, second])


class KeyedStochasticDepth(convnext.StochasticDepth):
    """Keras's StochasticDepth with its mask from the tape."""

    def __init__(self, *args: Any, keys: Keys, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = keys

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.drop_path_rate == 0:
            return x
        shape = tf.stack([tf.shape(x)[0], *[1] * (len(x.shape) - 1)])
        keep = keep_mask(self.keys.take(self.name), shape, self.drop_path_rate)
        return tf.where(keep, x / (1 - self.drop_path_rate), tf.zeros((), x.dtype))


def layer_scale(layer: spec.LayerScale, keyed: bool, **common: Any) -> keras.layers.Layer:
    return NamedLayerScale(layer.init_values, layer.projection_dim, **common)


def stochastic_depth(layer: spec.StochasticDepth, keyed: bool, **common: Any) -> keras.layers.Layer:
    return convnext.StochasticDepth(layer.drop_path_rate, **common)


def keyed_stochastic_depth(layer: spec.StochasticDepth, *, keys: Keys, **common: Any) -> keras.layers.Layer:
    return KeyedStochasticDepth(**arguments(layer), keys=keys, **common)


def custom_scale_layer(layer: spec.CustomScaleLayer, keyed: bool, **common: Any) -> keras.layers.Layer:
    return TwoScaleLayer(layer.scale, **common)


KEYED = {spec.StochasticDepth: keyed_stochastic_depth}
REPLACED = {
    spec.LayerScale: layer_scale,
    spec.StochasticDepth: stochastic_depth,
    spec.CustomScaleLayer: custom_scale_layer,
}
