"""TimeDistributed in Keras around the Keras layer of `layer.layer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.randomness import Keys, bits
from harness.spec.layers import wrapping as spec


class StepKeys:
    """The keys of the layer inside: one for each of the steps, all from the key of the call."""

    def __init__(self) -> None:
        self.current: tf.Tensor | None = None
        self.step = 0

    def start(self, key: tf.Tensor, steps: int) -> None:
        """A call of all the steps begins."""
        self.current, self.step = bits(key, tf.stack([steps, 2])), 0

    def take(self, layer: str) -> tf.Tensor:
        """The key of the next step."""
        assert self.current is not None, "the call around the steps did not start the keys"
        self.step += 1
        return self.current[self.step - 1]


class KeyedTimeDistributed(keras.layers.TimeDistributed):
    """keras.layers.TimeDistributed around a layer that draws, at each step from a key of its own."""

    def __init__(self, layer: keras.layers.Layer, *, keys: Keys, steps: StepKeys, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.keys = keys
        self.steps = steps

    def call(self, inputs: tf.Tensor, training: bool = False, mask: Any = None) -> tf.Tensor:
        if training:
            self.steps.start(self.keys.take(self.name), inputs.shape[1])
        return super().call(inputs, training=training, mask=mask)


def time_distributed(
    layer: spec.TimeDistributed, build: Callable[..., keras.layers.Layer], **common: Any
) -> keras.layers.Layer:
    """build: makes the Keras layer of a spec layer."""
    options = {"dtype": common["dtype"], "trainable": common["trainable"] and layer.layer.trainable}
    if "keys" not in common:
        return keras.layers.TimeDistributed(build(layer.layer, **options), **common)
    steps = StepKeys()
    inner = build(layer.layer, keys=steps, name=f"{common['name']}_step", **options)
    return KeyedTimeDistributed(inner, steps=steps, **common)


# Layers around a layer of any kind.
WRAPPING = {spec.TimeDistributed: time_distributed}
