"""data_format="channels_first" in Keras where TensorFlow does not run the stock layer on a CPU, or not rightly.

- Convolutions and transposed convolutions of NCHW exist in float32 only, and only in builds with oneDNN.
- A bias of channels first is added along the last axis where that has as many places as there are filters
  (keras/src/backend/tensorflow/numpy.py: add): of every layer with a bias.
- Poolings of volumes do not exist in float64 in either layout (pooling.py), and bilinear enlarging computes in
  float32 (reshaping.py).

Such a layer is built for channels last and stands between two transposes. All others are stock: poolings, padding,
cropping, enlarging, Flatten, SpatialDropout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from harness.backends.tensorflow.activations import activation as function_of
from harness.backends.tensorflow.layers import pooling, regularization, reshaping
from harness.backends.tensorflow.layers.stock import keras_value
from harness.spec.layers import convolutional, depthwise, transposed
from harness.spec.layers.base import Layer
from harness.spec.layers.spatial import channels_last_twin

CONVOLUTIONS = (*convolutional.LAYERS, *depthwise.LAYERS, *transposed.LAYERS)


class ChannelsFirst(keras.layers.Wrapper):
    """`layer`, for channels last, on (batch, channels, ...). activation: comes last, because softmax runs over the
    last axis, wherever the channels are."""

    def __init__(self, layer: keras.layers.Layer, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.activation = keras.activations.get(function_of(activation))

    def build(self, input_shape: Any) -> None:
        super().build((input_shape[0], *input_shape[2:], input_shape[1]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self.layer.compute_output_shape((input_shape[0], *input_shape[2:], input_shape[1]))
        return (shape[0], shape[-1], *shape[1:-1])

    def call(self, inputs: Any, training: bool = False) -> Any:
        options = {"training": training} if self.layer._call_has_training_arg else {}
        outputs = self.layer(keras.ops.moveaxis(inputs, 1, -1), **options)
        return self.activation(keras.ops.moveaxis(outputs, -1, 1))


def stock_runs(layer: Layer, keyed: bool, **common: Any) -> bool:
    """Whether Keras's own layer does it. common: name, dtype, trainable."""
    kind, dtype = type(layer), common["dtype"]
    if kind in CONVOLUTIONS or (keyed and kind in regularization.KEYED):
        return False
    if keyed and dtype == "float64" and kind in reshaping.EXACT:
        return False
    tables: dict[Any, Any] = {**pooling.REPLACED, **reshaping.REPLACED}
    replaced = tables.get(kind)
    return replaced is None or replaced(layer, keyed, dtype=dtype) is None


def channels_first(layer: Layer, build: Callable[..., keras.layers.Layer], **common: Any) -> keras.layers.Layer:
    """The layer between two transposes. build: makes the Keras layer of a spec layer."""
    twin = channels_last_twin(layer, bare=True)
    outer = {name: value for name, value in common.items() if name not in ("keys", "trainable")}
    # What draws random numbers draws them under the layer's name.
    inner = {name: value for name, value in common.items() if name != "name" or "keys" in common}
    regularizer = keras_value(getattr(layer, "activity_regularizer", None))
    built = ChannelsFirst(build(twin, **inner), getattr(layer, "activation", None), activity_regularizer=regularizer,
                          **outer)
    built.trainable = common.get("trainable", True)
    return built
