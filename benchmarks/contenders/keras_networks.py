"""The networks as a Keras user writes them: they end in logits. Also what the native TensorFlow loop trains."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from benchmarks.workloads import SIDE, STEPS, Workload


def network(workload: Workload) -> Any:
    """An untrained keras.Model for images (28, 28) or words (100,)."""
    return NETWORKS[workload.network](num_classes=workload.num_classes, **workload.sizes)


def mlp(num_classes: int, units: tuple[int, ...]) -> Any:
    return keras.Sequential([
        keras.Input((SIDE, SIDE)), layers.Flatten(), *(layers.Dense(size, activation="relu") for size in units),
        layers.Dense(num_classes)])


def cnn(num_classes: int, filters: tuple[int, ...], units: int) -> Any:
    stages = [layer for count in filters
              for layer in (layers.Conv2D(count, 3, padding="same", activation="relu"), layers.MaxPooling2D(2))]
    return keras.Sequential([
        keras.Input((SIDE, SIDE)), layers.Reshape((SIDE, SIDE, 1)), *stages, layers.Flatten(),
        layers.Dense(units, activation="relu"), layers.Dense(num_classes)])


def resnet(num_classes: int, depth: int, filters: int) -> Any:
    def conv(x: Any, count: int, size: int = 3, strides: int = 1) -> Any:
        x = layers.Conv2D(count, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        return layers.BatchNormalization()(x)

    def block(x: Any, count: int, strides: int) -> Any:
        shortcut = conv(x, count, 1, strides) if strides != 1 or x.shape[-1] != count else x
        y = layers.ReLU()(conv(x, count, 3, strides))
        return layers.ReLU()(layers.Add()([conv(y, count), shortcut]))

    image = keras.Input((SIDE, SIDE))
    x = layers.ReLU()(conv(layers.Reshape((SIDE, SIDE, 1))(image), filters))
    for stage in range(3):
        for number in range((depth - 2) // 6):
            x = block(x, filters * 2**stage, 2 if stage and not number else 1)
    return keras.Model(image, layers.Dense(num_classes)(layers.GlobalAveragePooling2D()(x)))


def lstm(num_classes: int, vocabulary: int, embedding: int, units: tuple[int, ...]) -> Any:
    recurrent = [layers.LSTM(size, return_sequences=number < len(units)) for number, size in enumerate(units, 1)]
    return keras.Sequential([keras.Input((STEPS,), dtype="int32"), layers.Embedding(vocabulary, embedding), *recurrent,
                             layers.Dense(num_classes)])


@keras.saving.register_keras_serializable("benchmarks")
class Embedded(layers.Layer):
    """Embeddings of words and of their places, summed."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.words, self.places = layers.Embedding(vocabulary, width), layers.Embedding(STEPS, width)

    def call(self, ids: Any) -> Any:
        return self.words(ids) + self.places(keras.ops.arange(STEPS))


def transformer(num_classes: int, vocabulary: int, width: int, heads: int, feedforward: int, depth: int) -> Any:
    ids = keras.Input((STEPS,), dtype="int32")
    x = Embedded(vocabulary, width)(ids)
    for _ in range(depth):
        y = layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(x + y)
        y = layers.Dense(width)(layers.Dense(feedforward, activation="relu")(x))
        x = layers.LayerNormalization(epsilon=1e-6)(x + y)
    return keras.Model(ids, layers.Dense(num_classes)(layers.GlobalAveragePooling1D()(x)))


NETWORKS = {"mlp": mlp, "cnn": cnn, "resnet": resnet, "lstm": lstm, "transformer": transformer}
