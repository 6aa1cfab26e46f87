"""What recurrent layers and their wrappers state without a framework: notations, states, refusals.

Agreement with Keras over many configurations is checked in tests/conformance.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness import Input, Model, Sequential, layers
from harness.errors import SpecError
from harness.spec.layers import LAYERS
from harness.spec.layers.cells import parse_nested
from harness.spec.model import ModelSpec

POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}


def model(layer: Any, *shape: int | None) -> ModelSpec:
    sequences = Input(shape, name="sequences")
    result = layer(sequences)
    return Model(sequences, result[0] if isinstance(result, tuple) else result)


def serialized(name: str, **config: Any) -> dict[str, Any]:
    """As keras.saving.serialize_keras_object writes a layer (3.15)."""
    common = {"name": name.lower(), "trainable": True, "dtype": POLICY}
    return {"module": "keras.layers", "class_name": name, "config": common | config, "registered_name": None}


READING = {"return_sequences": True, "return_state": False, "go_backwards": False, "stateful": False, "unroll": False,
           "zero_output_for_mask": True}
LSTM = {"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True,
        "kernel_initializer": serialized("GlorotUniform") | {"config": {"seed": None}}, "unit_forget_bias": True,
        "kernel_regularizer": None, "kernel_constraint": None, "dropout": 0.0, "recurrent_dropout": 0.0, "seed": None}


def test_what_keras_serializes_is_what_one_writes() -> None:
    ahead, back = serialized("LSTM", **READING, **LSTM), serialized("LSTM", **READING, **LSTM)
    back["config"] |= {"go_backwards": True, "name": "backward_lstm"}
    read = parse_nested(LAYERS, serialized("Bidirectional", merge_mode="sum", layer=ahead, backward_layer=back))
    written = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="sum")
    assert model(read, 5, 3).digest == model(written, 5, 3).digest


def test_cells_are_read_from_every_notation() -> None:
    stack = serialized("StackedRNNCells", cells=[serialized("LSTMCell", units=4), serialized("GRUCell", units=3)])
    digests = {model(layer, 5, 3).digest for layer in (
        layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)]),
        layers.RNN(layers.StackedRNNCells([layers.LSTMCell(4), layers.GRUCell(3)])),
        layers.RNN({"StackedRNNCells": {"cells": [{"LSTMCell": {"units": 4}}, {"GRUCell": {"units": 3}}]}}),
        layers.RNN(stack),
    )}
    assert len(digests) == 1


def test_the_weights_of_a_stack_are_numbered() -> None:
    spec = model(layers.Bidirectional(layers.RNN([layers.LSTMCell(4), layers.GRUCell(3, trainable=False)]),
                                      name="both"), 5, 3)
    assert [weight.name for weight in spec.weights][:5] == [
        "both/forward/0/kernel", "both/forward/0/recurrent_kernel", "both/forward/0/bias", "both/forward/1/kernel",
        "both/forward/1/recurrent_kernel"]
    assert {weight.name for weight in spec.weights if not weight.trainable} == {
        f"both/{way}/1/{role}" for way in ("forward", "backward") for role in ("kernel", "recurrent_kernel", "bias")}
    assert model(layers.RNN(layers.LSTMCell(4), name="one"), 5, 3).weights[0].name == "one/kernel"


def test_states_are_nested_by_cell() -> None:
    sequences = Input((5, 3))
    stack = layers.RNN([layers.LSTMCell(4), layers.GRUCell(2)], return_state=True)
    output, (h, c), state = stack(sequences)
    assert [tensor.shape for tensor in (output, h, c, state)] == [(None, 2), (None, 4), (None, 4), (None, 2)]
    nested, flat = ([layers.RNN([layers.LSTMCell(4), layers.GRUCell(2)])(sequences, initial_state=states)]
                    for states in ([[h, c], state], [h, c, state]))
    assert Model(sequences, nested).digest == Model(sequences, flat).digest
    output, (h, c) = layers.LSTMCell(4)(Input((3,)), [Input((4,)), Input((4,))])
    assert output.shape == h.shape == c.shape == (None, 4)


def test_a_layer_of_one_cell_states_what_keras_does() -> None:
    layer = layers.ConvLSTM2D(3, 2, dropout=0.2, data_format="channels_first", return_sequences=True, name="read")
    spec = model(layer, 4, 2, 5, 6)
    assert spec.tensors["read"] == (None, 4, 3, 4, 5)
    assert [weight.shape for weight in spec.weights] == [(2, 2, 2, 12), (2, 2, 3, 12), (12,)]
    assert layer.dropout_parts((None, 2, 5, 6)) == ((4, (2, 5, 6), 0.2), (0, (3, 4, 5), 0.0))


def cell(**config: Any) -> Any:
    return layers.LSTMCell(4, **config)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: layers.LSTM(4, stateful=True), ("stateful", "initial_state")),
    (lambda: layers.ConvLSTM1D(4, 3, stateful=True), ("stateful",)),
    (lambda: layers.LSTM(4, dropout=1.0), ("dropout",)),
    (lambda: layers.LSTM(4, dropout=0.5, implementation=1), ("implementation=1", "use_cudnn=False")),
    (lambda: layers.RNN([]), ("list of cells",)),
    (lambda: layers.RNN(layers.LSTM(4)), ("cell",)),
    (lambda: layers.RNN("lstm_sell"), ("lstm_sell", "LSTMCell")),
    (lambda: layers.RNN([layers.StackedRNNCells([cell()])]), ("StackedRNNCells",)),
    (lambda: layers.StackedRNNCells([one := cell(), one]), ("twice",)),
    (lambda: cell(activity_regularizer="l2"), ("activity_regularizer", "layer around")),
    (lambda: layers.Bidirectional(layers.Dense(4)), ("recurrent layer", "Dense")),
    (lambda: layers.Bidirectional(layers.LSTM(4, go_backwards=True)), ("same way",)),
    (lambda: layers.Bidirectional(layers.LSTM(4), backward_layer=layers.LSTM(4)), ("same way",)),
    (lambda: layers.Bidirectional(layers.LSTM(4), backward_layer=layers.LSTM(
        4, go_backwards=True, return_state=True)), ("return_state",)),
    (lambda: layers.Bidirectional(layers.LSTM(4), merge_mode="average"), ("merge_mode",)),
    (lambda: layers.Bidirectional(layers.LSTM(4), weights=[1]), ("weights", "set_weights")),
    (lambda: layers.Bidirectional(layers.LSTM(4, activity_regularizer="l2")), ("activity_regularizer",)),
    (lambda: layers.ConvLSTM2D(4, 3, strides=2, dilation_rate=2), ("strides", "dilation_rate")),
    (lambda: layers.TimeDistributed(Sequential([Input((3,)), layers.Dense(4)])), ("whole model", "each of its layers")),
    (lambda: layers.TimeDistributed(serialized("Dense", units=3) | {"config": {"units": 3, "dtype": "mixed_float16"}}),
     ("mixed_float16",)),
])
def test_wrong_arguments_are_refused(make, words) -> None:
    with pytest.raises(SpecError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_wrong_calls_are_refused() -> None:
    sequences, state, mask = Input((5, 3)), Input((4,)), Input((5,), dtype="bool")
    other = layers.Bidirectional(layers.LSTM(4), backward_layer=layers.LSTM(3, go_backwards=True))
    for call, words in (
        (lambda: layers.LSTM(4)(sequences, initial_state=[state]), ("2 state(s)", "1")),
        (lambda: layers.GRU(3)(sequences, initial_state=state), ("(batch, 3)",)),
        (lambda: layers.ConvLSTM1D(2, 2)(Input((4, 7, 2)), initial_state=[state, state]), ("(batch, 6, 2)",)),
        (lambda: layers.LSTM(4, return_sequences=True)(sequences, mask=mask), ("mask", "Masking")),
        (lambda: layers.LSTM(4)(sequences, constants=state), ("constants",)),
        (lambda: layers.LSTM(4, unroll=True)(Input((None, 3))), ("number of steps",)),
        (lambda: layers.ConvLSTM2D(2, 2)(Input((4, None, 6, 2))), ("height",)),
        (lambda: cell()(state), ("needs the states",)),
        (lambda: cell(dropout=0.5)(Input((3,)), [state, state]), ("first call for ever", "RNN")),
        (lambda: other(sequences), ("as many units",)),
    ):
        with pytest.raises(SpecError) as caught:
            call()
        assert all(word in str(caught.value) for word in words), str(caught.value)
