"""TimeDistributed in Keras around the Keras layer of `layer.layer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from harness.spec.layers import wrapping as spec


def time_distributed(
    layer: spec.TimeDistributed, build: Callable[..., keras.layers.Layer], **common: Any
) -> keras.layers.Layer:
    """build: makes the Keras layer of a spec layer."""
    inner = build(layer.layer, dtype=common["dtype"], trainable=common["trainable"] and layer.layer.trainable)
    return keras.layers.TimeDistributed(inner, **common)


# Layers around a layer of any kind.
WRAPPING = {spec.TimeDistributed: time_distributed}
