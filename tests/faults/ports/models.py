"""The Keras models whose ports are looked at, in Keras's notation."""

from __future__ import annotations

from typing import Any

from harness import Input, Model, layers
from harness.spec.model import ModelSpec


def images() -> ModelSpec:
    """Convolutions with a stride, a residual, pooling, Flatten, Dropout, a softmax."""
    x = image = Input((8, 8, 2), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv2")(x)
    y = x = layers.LeakyReLU(negative_slope=0.3, name="leaky")(x)
    x = layers.Conv2D(4, 3, padding="same", name="conv3")(x)
    x = layers.Add(name="add")([x, y])
    x = layers.AveragePooling2D(3, strides=1, padding="same", name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(16, activation="relu", name="hidden")(x)
    x = layers.Dropout(0.25, name="drop")(x)
    x = layers.Dense(16, activation="tanh", name="square")(x)
    return Model(image, layers.Dense(3, activation="softmax", name="head")(x), name="images")


def frozen() -> ModelSpec:
    """A frozen base with batch normalization under a new head: fine-tuning."""
    x = image = Input((6,), name="features")
    x = layers.Dense(5, name="base", trainable=False)(x)
    x = layers.BatchNormalization(name="bn", trainable=False)(x)
    return Model(image, layers.Dense(1, name="head")(x), name="frozen")


def text() -> ModelSpec:
    """Ids, an LSTM's last state, a probability."""
    x = ids = Input((5,), dtype="int32", name="ids")
    x = layers.Embedding(7, 6, name="embedding")(x)
    x = layers.LSTM(4, name="lstm")(x)
    return Model(ids, layers.Dense(1, activation="sigmoid", name="head")(x), name="text")


def recurrent(reset_after: bool = True) -> ModelSpec:
    """A bidirectional GRU, then one whose last state is taken."""
    x = steps = Input((5, 3), name="steps")
    x = layers.Bidirectional(layers.GRU(4, return_sequences=True, reset_after=reset_after), name="both")(x)
    x = layers.GRU(4, reset_after=reset_after, name="gru")(x)
    return Model(steps, layers.Dense(2, name="head")(x), name="recurrent")


def old_gru() -> ModelSpec:
    """The form of the GRU that resets before the recurrent kernel."""
    x = steps = Input((5, 3), name="steps")
    x = layers.GRU(4, reset_after=False, name="gru")(x)
    return Model(steps, layers.Dense(2, name="head")(x), name="old_gru")


def block() -> ModelSpec:
    """One block of a transformer; its output are logits."""
    x = tokens = Input((6, 8), name="tokens")
    y = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.LayerNormalization(name="norm1")(layers.Add(name="add1")([x, y]))
    y = layers.Dense(16, activation="gelu", name="up")(x)
    y = layers.Dense(8, name="down")(y)
    x = layers.LayerNormalization(name="norm2")(layers.Add(name="add2")([x, y]))
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return Model(tokens, layers.Dense(3, name="logits")(x), name="block")


def separable() -> ModelSpec:
    """Convolutions in groups, transposed, and a trained slope."""
    x = image = Input((6, 6, 3), name="image")
    x = layers.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", name="separable")(x)
    x = layers.DepthwiseConv2D(3, name="depth")(x)
    x = layers.PReLU(shared_axes=(1, 2), name="slope")(x)
    x = layers.GroupNormalization(1, name="norm")(x)
    x = layers.Conv2DTranspose(2, 2, strides=2, name="up")(x)
    x = layers.GlobalMaxPooling2D(name="largest")(x)
    return Model(image, layers.Dense(1, name="head")(x), name="separable")


def stacked() -> ModelSpec:
    """Two GRUs, one module in torch; two outputs with losses of their own."""
    x = steps = Input((5, 3), name="steps")
    x = layers.Conv1D(4, 3, padding="same", activation="relu", name="conv")(x)
    x = layers.GRU(5, return_sequences=True, name="low")(x)
    x = layers.GRU(5, name="high")(layers.Dropout(0.1, name="drop")(x))
    return Model(steps, [layers.Dense(2, activation="softmax", name="kind")(x),
                         layers.Dense(1, activation="sigmoid", name="chance")(x)], name="stacked")


def two_inputs() -> ModelSpec:
    """Numbers and ids."""
    numbers, ids = Input((4,), name="numbers"), Input((3,), dtype="int32", name="ids")
    left = layers.Dense(3, activation="elu", name="left")(numbers)
    right = layers.GlobalAveragePooling1D(name="mean")(layers.Embedding(6, 3, name="table")(ids))
    both = layers.Concatenate(name="joined")([left, right])
    return Model([numbers, ids], layers.Dense(1, name="head")(both), name="two_inputs")


def shared() -> ModelSpec:
    """A layer that is called twice."""
    x = Input((4,), name="x")
    twice = layers.Dense(4, activation="tanh", name="twice")
    return Model(x, layers.Dense(1, name="head")(twice(twice(x))), name="shared")


def cells() -> ModelSpec:
    """An LSTM whose port loops over a cell."""
    steps = Input((5, 3), name="steps")
    return Model(steps, layers.Dense(1, name="head")(layers.LSTM(4, name="lstm")(steps)), name="cells")


def branches() -> ModelSpec:
    """Two layers of one shape side by side: which is which only the numbers tell."""
    x = Input((3,), name="x")
    left = layers.Dense(4, activation="relu", name="left")(x)
    right = layers.Dense(4, activation="tanh", name="right")(x)
    both = layers.Concatenate(name="joined")([left, right])
    return Model(x, layers.Dense(1, name="head")(both), name="branches")


def bare() -> ModelSpec:
    """Two Dense layers."""
    x = Input((4,), name="x")
    return Model(x, layers.Dense(1, name="head")(layers.Dense(3, activation="relu", name="hidden")(x)), name="bare")


LOGITS: dict[str, Any] = {
    "loss": {"SparseCategoricalCrossentropy": {"from_logits": True}}, "optimizer": {"Adam": {}}, "batch_size": 8}
RECIPES: dict[str, Any] = {"block": LOGITS, "frozen": {
    "loss": "mean_squared_error", "optimizer": {"SGD": {"learning_rate": 0.01, "momentum": 0.9}}, "batch_size": 8}}
MODELS = {model.__name__: model for model in (
    images, frozen, text, recurrent, old_gru, block, separable, stacked, two_inputs, shared, cells, branches, bare)}
