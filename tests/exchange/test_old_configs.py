"""Configs and legacy files as Keras 2 wrote them: nested lists for calls, batch_input_shape, no modules."""

import json

import h5py
import numpy as np
import pytest

import harness
from harness import Input, Model, layers
from harness.spec.keras_config import UnsupportedModelError, read_keras_config
from tests.exchange.broken_files import archive, good_arrays, hdf5


def layer(class_name, name, nodes=None, **config):
    item = {"class_name": class_name, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}
    return item if nodes is None else {**item, "name": name, "inbound_nodes": nodes}


def start(name, *sizes):
    config = {"batch_input_shape": [None, *sizes], "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def dense(name, units, *calls):
    return layer("Dense", name, [[[*call, {}]] for call in calls], units=units, activation="linear", use_bias=True,
                 kernel_initializer={"class_name": "GlorotUniform", "config": {"seed": None}},
                 bias_initializer={"class_name": "Zeros", "config": {}}, kernel_regularizer=None,
                 bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None)


def functional(name, parts, inputs, outputs):
    config = {"name": name, "layers": parts, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def old_model():
    """A layer called twice, and an inner model called twice, whose calls Keras 2 counts from 1."""
    inner = functional("inner", [start("input_2", 3), dense("dense", 3, ["input_2", 0, 0])],
                       [["input_2", 0, 0]], [["dense", 0, 0]])
    inner |= {"name": "inner", "inbound_nodes": [[["shared", 0, 0, {}]], [["shared", 1, 0, {}]]]}
    parts = [
        start("input_1", 3), dense("shared", 3, ["input_1", 0, 0], ["shared", 0, 0]), inner,
        layer("Add", "add", [[["inner", 1, 0, {}], ["inner", 2, 0, {}]]]),
        layer("BatchNormalization", "norm", [[["add", 0, 0, {}]]], axis=[1], momentum=0.9, epsilon=0.001, center=True,
              scale=True, beta_initializer={"class_name": "Zeros", "config": {}}),
    ]
    return {**functional("model", parts, [["input_1", 0, 0]], [["norm", 0, 0]]), "keras_version": "2.12.0",
            "backend": "tensorflow"}


def test_calls_as_lists():
    x = Input((3,), name="input_1")
    shared, inner = layers.Dense(3, name="shared"), layers.Dense(3, name="inner/dense")
    first = shared(x)
    y = layers.Add(name="add")([inner(first), inner(shared(first))])
    wanted = Model(x, layers.BatchNormalization(axis=1, momentum=0.9, name="norm")(y), name="model")
    assert read_keras_config(old_model()).spec.to_data() == wanted.to_data()


def test_a_sequential_without_an_input():
    first = layer("Embedding", "embedding", input_dim=5, output_dim=4, input_length=6, mask_zero=True,
                  batch_input_shape=[None, 6])
    last = layer("Bidirectional", "both", merge_mode="concat", layer=layer(
        "LSTM", "lstm", units=3, time_major=False, stateful=False, unroll=False, implementation=2,
        recurrent_activation="sigmoid", activation="tanh"))
    config = {"class_name": "Sequential", "config": {"name": "text", "layers": [first, last]}}
    spec = read_keras_config(config).spec
    assert spec.inputs[0].dtype == "int32"
    assert spec.tensors[spec.outputs[0]] == (None, 6)
    assert spec.layers["both"].layer.units == 3


def test_states_behind_the_sequences_and_by_name():
    """Keras 2 writes the states of a call behind the sequences, those of attention by name."""
    parts = [
        start("source", 5, 4), start("target", 6, 4),
        layer("LSTM", "encode", [[["source", 0, 0, {}]]], units=3, return_state=True),
        layer("LSTM", "decode", [[["target", 0, 0, {}], ["encode", 0, 1, {}], ["encode", 0, 2, {}]]], units=3,
              return_sequences=True),
        layer("MultiHeadAttention", "attend", [[["decode", 0, 0, {"value": ["source", 0, 0]}]]], num_heads=2,
              key_dim=2, value_dim=2, dropout=0.0, use_bias=True, output_shape=None, attention_axes=[1],
              query_shape=[None, 6, 3], key_shape=[None, 5, 4], value_shape=[None, 5, 4]),
    ]
    spec = read_keras_config(functional(
        "model", parts, [["source", 0, 0], ["target", 0, 0]], [["attend", 0, 0]])).spec
    calls = {node.name: node for node in spec.nodes}
    assert [item.to for item in calls["decode"].arguments["initial_state"]] == ["encode:1", "encode:2"]
    assert calls["attend"].inputs == ("decode", "source")


def test_operations_of_tensorflow_are_refused():
    parts = [start("x", 3), {"class_name": "TFOpLambda", "name": "plus", "inbound_nodes": [["x", 0, 0, {"y": 1.0}]],
                             "config": {"name": "plus", "trainable": True, "dtype": "float32", "function": "math.add"}}]
    with pytest.raises(UnsupportedModelError, match="Keras 2") as caught:
        read_keras_config(functional("model", parts, [["x", 0, 0]], [["plus", 0, 0]]))
    assert [part.name for part in caught.value.parts] == ["plus"]


def test_a_legacy_file(tmp_path):
    """Weights by the names that Keras 2 gave them, those that do not train behind the others."""
    rng = np.random.default_rng(0)
    arrays = {
        "shared": {"shared/kernel:0": (3, 3), "shared/bias:0": (3,)}, "inner": {"dense/kernel:0": (3, 3),
                                                                              "dense/bias:0": (3,)},
        "norm": {f"norm/{role}:0": (3,) for role in ("gamma", "beta", "moving_mean", "moving_variance")},
        "input_1": {}, "add": {},
    }
    values = {name: {key: rng.normal(size=shape) for key, shape in weights.items()} for name, weights in arrays.items()}
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(old_model())
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in arrays]
        for name, weights in values.items():
            below = group.create_group(name)
            below.attrs["weight_names"] = [key.encode() for key in weights]
            for key, array in weights.items():
                below[key] = array
    spec, weights = harness.from_keras(path)
    assert set(weights) == {weight.name for weight in spec.weights}
    assert np.array_equal(weights["inner/dense/kernel"], values["inner"]["dense/kernel:0"])
    assert np.array_equal(weights["norm/moving_variance"], values["norm"]["norm/moving_variance:0"])
    with h5py.File(path, "r+") as file:
        file["model_weights/norm"].attrs["weight_names"] = [
            f"norm/{role}:0".encode() for role in ("beta", "gamma", "moving_mean", "moving_variance")]
    with pytest.raises(harness.SpecError, match="norm/beta:0 stands where norm/gamma is expected"):
        harness.from_keras(path)


def test_an_archive_of_keras_2_12(tmp_path):
    """Its weights stand under another name for the layers of a model."""
    arrays = {path.replace("layers", "_layer_checkpoint_dependencies"): array for path, array in good_arrays().items()}
    _, weights = harness.from_keras(archive(tmp_path, weights=hdf5(arrays)))
    _, wanted = harness.from_keras(archive(tmp_path, name="today.keras"))
    assert all(np.array_equal(weights[name], wanted[name]) for name in wanted)
