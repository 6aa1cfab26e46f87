"""Preprocessing layers of Keras that do not run as they are."""

from __future__ import annotations

from typing import Any

import keras

from harness.backends.tensorflow.layers.stock import stock
from harness.spec.layers.base import Layer
from harness.spec.layers.preprocessing_categories import Discretization
from harness.spec.layers.preprocessing_signals import MelSpectrogram


def single_precision(layer: Layer, keyed: bool, **common: Any) -> keras.layers.Layer | None:
    """The stock layer in float32, where it would compute in float64, which its constants are not made for."""
    return stock(layer, **{**common, "dtype": "float32"}) if common["dtype"] == "float64" else None


def with_boundaries(layer: Discretization, keyed: bool, **common: Any) -> keras.layers.Layer:
    """Keras takes boundaries or the arguments of adapt, not both."""
    trainable = common.pop("trainable")
    built = keras.layers.Discretization(list(layer.bin_boundaries), output_mode=layer.output_mode, **common)
    built.trainable = trainable
    return built


REPLACED = {Discretization: with_boundaries, MelSpectrogram: single_precision}
