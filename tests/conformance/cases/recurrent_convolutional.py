"""Cases of ConvLSTM1D, ConvLSTM2D and ConvLSTM3D."""

from typing import Any

from harness import layers
from tests.conformance.cases.attention import Graph
from tests.conformance.engine import Case, Fed

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


FIRST = ((4, 2, 5, 6),)
ROUNDED = {"kernel_constraint": "max_norm", "recurrent_constraint": "max_norm", "bias_constraint": "non_neg"}
# name -> (arguments, options, what a Case takes); the kernel is the last argument, one size for every dimension.
CONFIGURATIONS = {
    "valid": {},
    "same": {"padding": "same"},
    "strided": {"strides": 2, "padding": "same"},
    "strided, valid": {"strides": 2},
    "dilated": {"dilation_rate": 2},
    "sequences": {"return_sequences": True},
    "sequences and states": {"return_sequences": True, "return_state": True, "padding": "same"},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "unrolled": {"unroll": True, "return_sequences": True},
    "relu and hard_sigmoid": {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    "without bias": {"use_bias": False},
    "no forget bias": {"unit_forget_bias": False},
    "regularized": {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"},
    "constrained": ROUNDED,
}
DROPPING = {
    "dropout": {"dropout": 0.4},
    "recurrent dropout": {"recurrent_dropout": 0.3, "return_sequences": True},
    "both dropouts": {"dropout": 0.3, "recurrent_dropout": 0.4, "strides": 2, "return_sequences": True,
                      "return_state": True},
    "both dropouts backwards": {"dropout": 0.5, "recurrent_dropout": 0.5, "use_bias": False, "go_backwards": True},
}
SHAPES = {1: (4, 7, 2), 3: (3, 4, 5, 4, 2)}


def _shared(rank: int) -> list[Case]:
    """The configurations of the rank that has no cases of its own."""
    cases = [(name, options, False) for name, options in CONFIGURATIONS.items()]
    cases += [(name, options, True) for name, options in DROPPING.items()]
    return [
        Case(f"conv_lstm{rank}d {name}",
             lambda layers, options=options: getattr(layers, f"ConvLSTM{rank}D")(2, 2, **options), (SHAPES[rank],),
             certified=certified)
        for name, options, certified in cases
    ]


def _masked_rows(feeds: list[Any]) -> list[Any]:
    """Masked steps that are rows; unrolled, with zeros, and with a drawing."""
    rows = layers.TimeDistributed(layers.Reshape((6, 3)), name="rows")(feeds[0])
    return [
        *layers.ConvLSTM1D(2, 2, return_sequences=True, return_state=True, name="every")(rows),
        layers.ConvLSTM1D(2, 2, return_sequences=True, zero_output_for_mask=True, name="zero")(rows),
        layers.ConvLSTM1D(2, 2, zero_output_for_mask=True, go_backwards=True, name="zero_last")(rows),
        layers.ConvLSTM1D(2, 2, return_sequences=True, zero_output_for_mask=True, unroll=True, go_backwards=True,
                          name="unrolled")(rows),
        layers.Bidirectional(layers.ConvLSTM1D(2, 2, return_sequences=True), name="both")(rows),
    ]


GIVEN_STATES = {"inputs": ((4, 7, 2), (7, 3), (7, 3)), "arguments": {"initial_state": [Fed(1), Fed(2)]}}

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
    conv_lstm("unrolled", 2, 2, unroll=True, return_sequences=True),
    conv_lstm("constrained", 2, 2, **ROUNDED),
    *(Case(f"conv_lstm {name}", lambda layers, options=options: layers.ConvLSTM2D(2, 3, **options), IMAGES,
           certified=True) for name, options in DROPPING.items()),
    conv_lstm("channels first", 3, 2, inputs=FIRST, data_format="channels_first", return_sequences=True),
    conv_lstm("channels first strided", 3, 3, inputs=FIRST, data_format="channels_first", strides=2, padding="same",
              return_state=True),
    conv_lstm("channels first softmax", 3, 3, inputs=FIRST, data_format="channels_first", activation="softmax"),
    Case("conv_lstm channels first both dropouts", lambda layers: layers.ConvLSTM2D(
        2, 3, data_format="channels_first", dropout=0.3, recurrent_dropout=0.4), FIRST, certified=True),
    Case("conv_lstm1d channels first", lambda layers: layers.ConvLSTM1D(2, 2, data_format="channels_first"),
         ((4, 2, 7),)),
    Case("conv_lstm3d channels first", lambda layers: layers.ConvLSTM3D(
        2, 2, data_format="channels_first", return_sequences=True), ((3, 2, 4, 5, 4),)),
    Case("conv_lstm1d initial state", lambda layers: layers.ConvLSTM1D(3, 3, padding="same", return_state=True),
         **GIVEN_STATES),
    Case("conv_lstm2d given mask", lambda layers: layers.ConvLSTM2D(3, 3), ((4, 5, 6, 2), (4,)),
         kinds=("normal", "mask"), arguments={"mask": Fed(1)}),
    conv_lstm("zero for mask, no mask", 2, 2, zero_output_for_mask=True),
    *(Case(f"conv_lstm{rank}d zero for mask, no mask", lambda layers, rank=rank: getattr(layers, f"ConvLSTM{rank}D")(
        2, 2, zero_output_for_mask=True), (SHAPES[rank],)) for rank in (1, 3)),
    *_shared(1), *_shared(3),
    Case("conv_lstm1d wide", lambda layers: layers.ConvLSTM1D(3, 3), (SHAPES[1],)),
    Case("conv_lstm3d uneven", lambda layers: layers.ConvLSTM3D(3, (2, 3, 1), padding="same"), (SHAPES[3],)),
    Graph("conv_lstm1d masked", lambda layers: layers.ConvLSTM1D(2, 2), ((5, 18),), masked=(True,),
          model=_masked_rows),
)
