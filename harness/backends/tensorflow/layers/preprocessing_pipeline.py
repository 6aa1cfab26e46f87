"""Pipeline in Keras, around the Keras layers of its layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from harness.backends.tensorflow.layers.wrapping import StepKeys
from harness.backends.tensorflow.randomness import Keys
from harness.spec.layers import preprocessing_pipeline as spec


class OwnKeys:
    """The key of one layer of a Pipeline: that of its place."""

    def __init__(self, steps: StepKeys, place: int) -> None:
        self.steps = steps
        self.place = place

    @property
    def current(self) -> tf.Tensor | None:
        """None before the first call."""
        return self.steps.current

    def take(self, layer: str) -> tf.Tensor:
        """The layer's key in this call."""
        assert self.steps.current is not None, "the call around the layers did not start the keys"
        return self.steps.current[self.place]


class KeyedPipeline(keras.layers.Pipeline):
    """keras.layers.Pipeline whose layers draw from the tape."""

    def __init__(
        self, layers: list[keras.layers.Layer], *, of: spec.Pipeline, keys: Keys, steps: StepKeys, name: str
    ) -> None:
        super().__init__(layers, name=name)
        self.of = of
        self.tape_keys = keys
        self.steps = steps

    def compute_output_spec(self, inputs: Any, **_: Any) -> keras.KerasTensor:
        # From the spec, because tracing a call would draw numbers before there is a tape.
        return keras.KerasTensor(self.of.compute_output_shape(tuple(inputs.shape)), dtype=self.compute_dtype)

    def call(self, inputs: tf.Tensor, training: bool = True, mask: Any = None) -> tf.Tensor:
        if training and self.tape_keys.current is not None:
            self.steps.start(self.tape_keys.take(self.name), len(self.layers))
        return super().call(inputs, training=training, mask=mask)


def pipeline(layer: spec.Pipeline, build: Callable[..., keras.layers.Layer], **common: Any) -> keras.layers.Layer:
    """build: makes the Keras layer of a spec layer."""
    steps, built = StepKeys(), []
    for place, inner in enumerate(layer.layers):
        options = {"name": f"{common['name']}_{place}", "dtype": inner.dtype or common["dtype"],
                   "trainable": inner.trainable}
        if "keys" in common and inner.stochastic:
            options["keys"] = OwnKeys(steps, place)
        built.append(build(inner, **options))
    if "keys" in common:
        return KeyedPipeline(built, of=layer, steps=steps, keys=common["keys"], name=common["name"])
    return keras.layers.Pipeline(built, name=common["name"])


WRAPPING = {spec.Pipeline: pipeline}
