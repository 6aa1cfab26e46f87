"""Cases of ConvLSTM2D."""

from typing import Any

from harness import layers
from tests.conformance.cases.attention import Graph
from tests.conformance.engine import Case

IMAGES = ((4, 5, 6, 2),)


def conv_lstm(name, *arguments, inputs=IMAGES, masked=(), **options):
    return Case(f"conv_lstm {name}", lambda layers: layers.ConvLSTM2D(*arguments, **options), inputs, masked=masked)


def _masked(feeds: list[Any]) -> list[Any]:
    """Masked steps whose vectors are images: the last of them, all of them with the states, and backwards."""
    images = layers.TimeDistributed(layers.Reshape((3, 3, 2)), name="images")(feeds[0])
    every = layers.ConvLSTM2D(2, 2, padding="same", return_sequences=True, return_state=True, name="every")(images)
    outputs = [layers.ConvLSTM2D(2, 2, name="last")(images), *every,
               layers.ConvLSTM2D(2, 3, padding="same", go_backwards=True, name="backwards")(images)]
    flat = layers.TimeDistributed(layers.Flatten(), name="flat")(every[0])
    return [*outputs, layers.GlobalAveragePooling1D(name="pooled")(flat)]


CASES = (
    conv_lstm("valid", 3, 2),
    conv_lstm("same", 3, 3, padding="same"),
    conv_lstm("uneven", 2, (2, 3), padding="same"),
    conv_lstm("strided", 3, 3, strides=2, padding="same"),
    conv_lstm("strided, valid", 3, 2, strides=(2, 1)),
    conv_lstm("dilated", 2, 2, dilation_rate=2),
    conv_lstm("sequences", 3, 2, return_sequences=True),
    conv_lstm("states", 3, 2, return_state=True),
    conv_lstm("sequences and states", 3, 3, padding="same", return_sequences=True, return_state=True),
    conv_lstm("backwards", 3, 2, go_backwards=True, return_sequences=True),
    conv_lstm("relu and hard_sigmoid", 3, 2, activation="relu", recurrent_activation="hard_sigmoid"),
    conv_lstm("softmax", 3, 2, activation="softmax"),
    conv_lstm("without bias", 3, 2, use_bias=False),
    conv_lstm("no forget bias", 3, 2, unit_forget_bias=False),
    conv_lstm("regularized", 2, 2, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2"),
    conv_lstm("any length", 2, 2, inputs=((None, 5, 6, 2),), return_sequences=True),
    conv_lstm("frozen", 2, 2, trainable=False),
    Graph("conv_lstm masked", lambda layers: layers.ConvLSTM2D(2, 2), ((5, 18),), masked=(True,), model=_masked),
)
