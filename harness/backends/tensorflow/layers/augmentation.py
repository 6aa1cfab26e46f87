"""Keras's augmentation layers with their random numbers from the tape.

Keras's layers draw through their own `backend.random` (utils/backend_utils.py: DynamicBackend). A stand-in for that
backend hands out the tape's numbers, one array after the other; everything else is Keras's own code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.utils.backend_utils import DynamicBackend

from harness.backends.tensorflow import randomness
from harness.backends.tensorflow.layers.channels import channels_first
from harness.backends.tensorflow.layers.image_kernels import Kernels
from harness.backends.tensorflow.layers.stock import arguments
from harness.backends.tensorflow.randomness import Keys
from harness.spec.layers import augmentation as geometric
from harness.spec.layers import augmentation_colors as colors
from harness.spec.layers import augmentation_mixing as mixing
from harness.spec.layers.base import Layer
from harness.spec.layers.spatial import is_channels_first

Shape = Sequence[Any]


class TapeRandom:
    """What `keras.random` offers to the layers, from the key of the present call.

    Without a key (Keras traces a layer's call to learn its output's shape) every number is 0.
    """

    def __init__(self) -> None:
        self.key: tf.Tensor | None = None
        self.taken = 0
        self.SeedGenerator = keras.random.SeedGenerator

    def start(self, key: tf.Tensor | None) -> None:
        """A call of the layer begins."""
        self.key = key
        self.taken = 0

    def _next(self) -> tuple[tf.Tensor, int]:
        self.taken += 1
        return tf.zeros((2,), tf.int32) if self.key is None else self.key, self.taken - 1

    def uniform(
        self, shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: str | None = None, seed: Any = None
    ) -> tf.Tensor:
        key, stream = self._next()
        dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        numbers = randomness.uniform(key, _shape(shape), dtype, stream)
        return numbers * (maxval - minval) + minval

    def randint(self, shape: Shape, minval: int, maxval: int, dtype: str = "int32", seed: Any = None) -> tf.Tensor:
        key, stream = self._next()
        return tf.cast(randomness.integers(key, _shape(shape), minval, maxval, stream), dtype)

    def shuffle(self, x: tf.Tensor, axis: int = 0, seed: Any = None) -> tf.Tensor:
        key, stream = self._next()
        return tf.gather(x, randomness.order(key, tf.shape(x)[0], stream))

    def normal(self, shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None,
               seed: Any = None) -> tf.Tensor:
        key, stream = self._next()
        dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        return randomness.normal(key, _shape(shape), dtype, stream) * stddev + mean

    def beta(self, shape: Shape, alpha: Any, beta: Any, dtype: str | None = None, seed: Any = None) -> tf.Tensor:
        """Of the symmetric distribution, as backends/pytorch/randomness.py makes it."""
        first, second = 1.0 - self.uniform(shape), self.uniform(shape)
        cosine = tf.cos(2.0 * math.pi * second)
        squared = (first ** (-1.0 / alpha) - 1.0) * cosine**2
        return 0.5 + 0.5 * tf.sign(cosine) / tf.sqrt(1.0 + 1.0 / squared)

    def gamma(self, shape: Shape, alpha: float, dtype: str | None = None, seed: Any = None) -> tf.Tensor:
        """Of shape 1 alone, the exponential distribution (the spec refuses others)."""
        return -tf.math.log(1.0 - self.uniform(shape))


def _shape(shape: Shape) -> tf.Tensor:
    return tf.stack(list(shape)) if len(shape) else tf.zeros((0,), tf.int32)


class TapeBackend(DynamicBackend):
    """Keras's backend as a layer sees it, with the tape for random numbers."""

    def __init__(self) -> None:
        super().__init__("tensorflow")
        self.random = TapeRandom()
        self.image = Kernels()


_KEYED: dict[type, type] = {}


def _keyed_class(stock: type[keras.layers.Layer]) -> type[keras.layers.Layer]:
    """The subclass of a stock layer that takes its key from the tape before each call."""
    if stock not in _KEYED:

        def call(self: Any, data: tf.Tensor, training: bool = True) -> tf.Tensor:
            present = self.tape_keys.current is not None and training
            self.backend.random.start(self.tape_keys.take(self.name) if present else None)
            return stock.call(self, data, training=training)

        def compute_output_spec(self: Any, data: Any, **_: Any) -> keras.KerasTensor:
            return keras.KerasTensor(self.compute_output_shape(data.shape), dtype=self.compute_dtype)

        _KEYED[stock] = type(f"Keyed{stock.__name__}", (stock,), {
            "call": call, "compute_output_spec": compute_output_spec,
            "_compute_affine_matrix": rotation_matrix,
        })
    return _KEYED[stock]


def rotation_matrix(
    self: Any, center_x: float, center_y: float, angle: tf.Tensor, height: Any, width: Any, **_: Any
) -> tf.Tensor:
    """[N, 8] of RandomRotation, rounded to float32 once: Keras's own does not run in float64."""
    angle = tf.cast(angle, tf.float64) * (math.pi / 180.0)
    cx, cy = center_x * (tf.cast(width, tf.float64) - 1.0), center_y * (tf.cast(height, tf.float64) - 1.0)
    cosine, sine, zero = tf.cos(angle), tf.sin(angle), tf.zeros_like(angle)
    rows = (cosine, -sine, cx - cx * cosine + cy * sine, sine, cosine, cy - cx * sine - cy * cosine, zero, zero)
    return tf.cast(tf.stack(rows, axis=1), tf.float32)


def keyed_augmentation(layer: Layer, keys: Keys, **common: Any) -> keras.layers.Layer:
    """The Keras layer of a spec layer, drawing from the tape."""
    if is_channels_first(layer):
        # The order of the random numbers of an image's pixels is that of channels last.
        return channels_first(layer, keyed_augmentation, keys=keys, **common)
    built = _keyed_class(getattr(keras.layers, type(layer).__name__))(**_arguments(layer), **common)
    built.tape_keys = keys
    built.backend = TapeBackend()
    # Layers that are made of others (RandomColorJitter, RandAugment) draw all their arrays from one call's key.
    for inner in built._layers:
        inner.backend = built.backend
        if isinstance(inner, keras.layers.RandomRotation):
            inner._compute_affine_matrix = rotation_matrix.__get__(inner)
    return built


def _arguments(layer: Layer) -> dict[str, Any]:
    """Keras's arguments. RandomShear takes a negative factor only as the number that stands for both directions."""
    given = arguments(layer)
    if isinstance(layer, geometric.RandomShear):
        for name in ("x_factor", "y_factor"):
            low, high = given[name]
            given[name] = high if low == -high else (low, high)
    return given


def stock_with_arguments(layer: Layer, keyed: bool, **common: Any) -> keras.layers.Layer:
    """The stock layer of RandomShear."""
    return keras.layers.RandomShear(**_arguments(layer), **common)


class KnownShapeEqualization(keras.layers.Equalization):
    """keras.layers.Equalization, whose own compute_output_spec hands back its input, which makes a cycle."""

    def compute_output_spec(self, inputs: Any, **_: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


def known_shape_equalization(layer: Layer, keyed: bool, **common: Any) -> keras.layers.Layer:
    return KnownShapeEqualization(**arguments(layer), **common)


KEYED = {cls: keyed_augmentation for family in (geometric, colors, mixing) for cls in family.LAYERS}
REPLACED = {colors.Equalization: known_shape_equalization, geometric.RandomShear: stock_with_arguments}
