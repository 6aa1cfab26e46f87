"""Builders of Keras layers: stock for every spec layer, but for those that the families' tables name.

KEYED: spec class -> builder of the layer whose random numbers come from the tape.
EXACT: spec class -> builder of the layer that computes in float64 where Keras's own computes in float32 (None
where the stock layer is exact); used in certified training in float64 only.
REPLACED: spec class -> builder of the layer where the stock one cannot run or is wrong (None where it is right).
NESTED: spec class -> builder of the layer whose arguments hold another layer.
WRAPPING: spec class -> builder of the layer around one of any class, which it gets a function to build with.
data_format="channels_first": the stock layer where TensorFlow runs it on a CPU, else channels.ChannelsFirst.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from harness.backends.tensorflow.layers import (
    applications,
    attention,
    augmentation,
    channels,
    convolutional,
    image_kernels,
    lora,
    pooling,
    preprocessing,
    preprocessing_pipeline,
    recurrent,
    regularization,
    reshaping,
    spectral,
    wrapping,
)
from harness.backends.tensorflow.layers.stock import keras_value, stock
from harness.spec.layers.base import Layer
from harness.spec.layers.registration import registered_builder
from harness.spec.layers.spatial import is_channels_first

FAMILIES = (augmentation, applications, attention, lora, recurrent, regularization)

KEYED: dict[type, Callable[..., keras.layers.Layer]] = {}
for _family in FAMILIES:
    KEYED.update(_family.KEYED)
EXACT: dict[Any, Callable[..., keras.layers.Layer | None]] = {**image_kernels.EXACT, **reshaping.EXACT}
REPLACED: dict[Any, Callable[..., keras.layers.Layer | None]] = {}
for _replaced in (applications, augmentation, convolutional, lora, pooling, preprocessing, reshaping):
    _builders: dict[Any, Any] = _replaced.REPLACED  # type: ignore[attr-defined]
    REPLACED.update(_builders)
NESTED: dict[Any, Any] = {**recurrent.NESTED}
WRAPPING: dict[Any, Callable[..., keras.layers.Layer]] = {}
for _wraps in (preprocessing_pipeline, spectral, wrapping):
    _builders = _wraps.WRAPPING  # type: ignore[attr-defined]
    WRAPPING.update(_builders)


def build_layer(layer: Layer, keyed: bool, **common: Any) -> keras.layers.Layer:
    """The Keras layer of a spec layer; common: name, dtype, trainable."""
    built = _build(layer, keyed, **common)
    if layer.regularizes_outputs and layer.activity_regularizer is not None and built.activity_regularizer is None:
        # A builder that does not take the spec's arguments as they are.
        built.activity_regularizer = keras_value(layer.activity_regularizer)
    return built


def _build(layer: Layer, keyed: bool, **common: Any) -> keras.layers.Layer:
    if is_channels_first(layer) and not channels.stock_runs(layer, keyed, **common):
        return channels.channels_first(layer, functools.partial(build_layer, keyed=keyed), **common)
    registered = registered_builder(type(layer), "tensorflow")
    if registered is not None:
        built: keras.layers.Layer = registered(layer, **common)
        return built
    if type(layer) in WRAPPING:
        return WRAPPING[type(layer)](layer, functools.partial(build_layer, keyed=keyed), **common)
    if keyed and layer.stochastic:
        return KEYED[type(layer)](layer, **common)
    if keyed and common["dtype"] == "float64" and type(layer) in EXACT:
        exact = EXACT[type(layer)](layer, **common)
        if exact is not None:
            return exact
    if type(layer) in REPLACED:
        replaced = REPLACED[type(layer)](layer, keyed, **common)
        if replaced is not None:
            return replaced
    if type(layer) in NESTED:
        return NESTED[type(layer)](layer, **common)
    return stock(layer, **common)
