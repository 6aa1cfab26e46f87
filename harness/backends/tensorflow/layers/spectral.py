"""SpectralNormalization in Keras around the Keras layer of `layer.layer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from harness.spec.layers import spectral as spec


def spectral_normalization(
    layer: spec.SpectralNormalization, build: Callable[..., keras.layers.Layer], **common: Any
) -> keras.layers.Layer:
    """build: makes the Keras layer of a spec layer."""
    inner = build(layer.layer, dtype=common["dtype"], trainable=common["trainable"] and layer.layer.trainable)
    return keras.layers.SpectralNormalization(inner, power_iterations=layer.power_iterations, **common)


WRAPPING = {spec.SpectralNormalization: spectral_normalization}
