"""What Keras's tutorials write: operators, dicts of outputs, pretrained embeddings, and what is refused of it."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from harness import keras
from harness.errors import SpecError
from harness.keras import layers
from harness.spec import operators
from tests.forked import run_source


def compiled(outputs: object, inputs: object, **arguments: object) -> keras.Model:
    model = keras.Model(inputs, outputs)
    model.compile(**{"optimizer": "adam", "loss": "mse", **arguments})
    return model


def test_operators_are_the_operations_of_keras() -> None:
    def by_hand(x: object, y: object) -> list[object]:
        ops = keras.ops
        return [ops.add(x, y), ops.subtract(x, y), ops.multiply(x, y), ops.multiply(2, x), ops.true_divide(x, 4),
                ops.subtract(1, x), ops.add(3, x), ops.subtract(x, 3), ops.negative(x), ops.get_item(x, (..., 0)),
                ops.matmul(x, ops.transpose(y, (0, 2, 1))), ops.power(x, 2), ops.greater(x, 0)]

    def by_operators(x: object, y: object) -> list[object]:
        return [x + y, x - y, x * y, 2 * x, x / 4, 1 - x, 3 + x, x - 3, -x, x[..., 0],
                x @ keras.ops.transpose(y, (0, 2, 1)), x ** 2, x > 0]

    digests = set()
    for write in (by_hand, by_operators):
        x, y = keras.Input((4, 3), name="x"), keras.Input((4, 3), name="y")
        digests.add(keras.Model([x, y], write(x, y)).spec.digest)
    assert len(digests) == 1


def test_operators_and_functions_are_not_among_the_layers() -> None:
    x = keras.Input((6,))
    inner = layers.Dense(6)(x)
    model = keras.Model(x, layers.Dense(2)(keras.activations.relu(inner + x)))
    assert [layer.name for layer in model.layers] == ["input", "dense", "dense_1"]
    assert len(keras.models.clone_model(model).layers) == 3


def test_operators_mean_what_they_mean_in_keras() -> None:
    ids = keras.Input((5,), dtype="int32")
    words = layers.Embedding(9, 4, mask_zero=True)(ids)
    assert not operators.carries_mask(words + words)  # which layers.Add() would keep
    assert operators.carries_mask(layers.Add()([words, words]))
    last = layers.LSTM(3)(words)
    assert (words + layers.LSTM(4)(words)[:, None]).shape == (None, 5, 4)
    assert ((ids / 2).dtype, (ids * 2).dtype, (last > 0).dtype) == ("float32", "int32", "bool")
    assert (last[:, 0].shape, (last + np.ones(3)).shape, (1 * last / last).shape) == ((None,), (None, 3), (None, 3))
    with pytest.raises(SpecError, match="do not fit together"):
        words + last
    with pytest.raises(TypeError, match="iterated"):
        list(last)
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(last > 0)


@pytest.mark.frameworks
def test_a_transformer_block_as_keras_writes_it(data) -> None:
    x, y = data
    inputs = keras.Input((6, 1))
    attended = layers.MultiHeadAttention(key_dim=4, num_heads=2, dropout=0.1)(inputs, inputs)
    residual = layers.LayerNormalization(epsilon=1e-6)(layers.Dropout(0.1)(attended)) + inputs
    inner = layers.Conv1D(filters=3, kernel_size=1, activation="relu")(residual)
    inner = layers.Conv1D(filters=inputs.shape[-1], kernel_size=1)(inner)
    pooled = layers.GlobalAveragePooling1D(data_format="channels_last")(inner + residual * 0.5)
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)
    model = compiled(layers.Dense(3, activation="softmax")(pooled), inputs, optimizer=keras.optimizers.Adam(rate),
                     loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    assert float(model.optimizer.learning_rate) == 0.1
    history = model.fit(x, y, batch_size=16, verbose=0)
    assert model.history is history
    assert model.optimizer.learning_rate.numpy() == 0.1 * 0.5 ** 2
    np.testing.assert_allclose(model.predict(x), model.predict(x, framework="pytorch"), rtol=1e-9)


@pytest.mark.frameworks
def test_outputs_in_a_dict(data) -> None:
    x, y = data
    inputs = keras.Input((6,), name="rows")
    outputs = {"size": layers.Dense(1, name="size")(inputs), "kind": layers.Dense(3, name="kind")(inputs)}
    model = compiled(outputs, inputs, loss_weights={"size": 0.1}, metrics={"kind": ["accuracy"]}, loss={
        "size": "mse", "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    # Keras sorts a dict's outputs by their keys, and so its weights.
    assert model.output_names == ["kind", "size"]
    assert [array.shape for array in model.get_weights()] == [(6, 3), (3,), (6, 1), (1,)]
    history = model.fit({"rows": x}, {"size": x.sum(1), "kind": y}, verbose=0)
    found = model.predict(x)
    assert {name: array.shape for name, array in found.items()} == {"kind": (64, 3), "size": (64, 1)}
    assert model({"rows": keras.Input((6,))})["size"].shape == (None, 1)
    assert list(history.history) == ["kind_accuracy", "kind_loss", "loss", "size_loss"]
    kernel, bias = model.get_weights()[2:]
    results = model.evaluate(x, {"size": x.sum(1), "kind": y})
    assert results[0] == pytest.approx(results[1] + 0.1 * results[2], rel=1e-12)
    assert results[2] == pytest.approx(np.square((x @ kernel + bias)[:, 0] - x.sum(1)).mean(), rel=1e-12)
    assert list(model.evaluate(x, {"size": x.sum(1), "kind": y}, return_dict=True)) == list(history.history)


def test_the_keys_of_a_dict_are_the_names_of_its_layers() -> None:
    inputs = keras.Input((6,), name="rows")
    with pytest.raises(SpecError, match="Give that layer name='size'"):
        keras.Model(inputs, {"size": layers.Dense(1)(inputs)})
    with pytest.raises(SpecError, match="the input 'lines' is made by a layer named 'rows'"):
        keras.Model({"lines": inputs}, layers.Dense(1)(inputs))


def test_layers_of_a_model_that_was_added_to_know_their_tensors() -> None:
    model = keras.Sequential()
    model.add(layers.Dense(4, input_shape=(6,)))
    model.add(layers.Dense(3))
    parts = keras.Model(model.inputs, [layer.output for layer in model.layers])
    assert parts.output_shape == [(None, 4), (None, 3)]


def test_pretrained_embeddings() -> None:
    table = np.arange(20.0).reshape(10, 2)
    early = layers.Embedding(10, 2, trainable=False, name="words", input_length=5)
    early.build((1,))
    with pytest.raises(SpecError, match=r"have the shapes \[\(10, 2\)\]"):
        early.set_weights([table.T])
    early.set_weights([table])
    np.testing.assert_array_equal(early.get_weights()[0], table)
    for layer in (early, layers.Embedding(10, 2, weights=[table], trainable=False)):
        model = keras.Sequential([keras.Input((5,), dtype="int64"), layer, layers.Flatten(), layers.Dense(1)])
        np.testing.assert_array_equal(model.get_weights()[0], table)
        np.testing.assert_array_equal(layer.embeddings, table)
        assert model.layers[-1].kernel.shape == (10, 1)
        assert not layer.embeddings.trainable
    with pytest.raises(SpecError, match=r"layer\.set_weights"):
        keras.initializers.Constant(table)


def own(value: object = None, other: object = None) -> object:
    return value


@pytest.mark.parametrize(("arguments", "message"), [
    ({"kernel_constraint": own}, r"a constraint of your own \(own\)"),
    ({"kernel_constraint": "max_nrm"}, r"unknown constraint 'max_nrm'\. Did you mean 'MaxNorm'"),
    ({"activity_regularizer": own}, r"a regularizer of your own \(own\)"),
    ({"kernel_initializer": own}, r"an initializer of your own \(own\)"),
    ({"activation": own}, r"an activation of your own \(own\)"),
    ({"activation": layers.PReLU()}, r"Put layers\.PReLU"),
])
def test_arguments_of_layers_that_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        layers.Dense(3, **arguments)
    assert layers.Dense(3, kernel_constraint=None, activity_regularizer=None).units == 3


def test_constraints_and_activity_regularizers_are_data() -> None:
    dense = layers.Dense(3, kernel_constraint=keras.constraints.max_norm(3), bias_constraint="non_neg",
                         activity_regularizer=keras.regularizers.l2(0.1))
    assert dense.spec.kernel_constraint == keras.constraints.MaxNorm(max_value=3, axis=0)
    assert dense.spec.bias_constraint == keras.constraints.get({"class_name": "NonNeg", "config": {}})
    assert dense.spec.activity_regularizer.l2 == 0.1


class Dataset:
    """Named as tf.data's are."""


@pytest.mark.parametrize(("use", "message"), [
    (lambda model: model.compile(loss=own), r"a loss of your own \(own\)"),
    (lambda model: model.compile(loss="mse", metrics=[own]), r"a metric of your own \(own\)"),
    (lambda model: model.fit(Dataset()), "x is Dataset; only arrays"),
    (lambda model: model.fit(iter([]), steps_per_epoch=3), "only arrays"),
    (lambda model: model.add_loss(own), "Code of your own"),
    (lambda model: model.export("folder"), r"save_weights\('name\.safetensors'\)"),
])
def test_uses_that_are_refused(use: object, message: str) -> None:
    inputs = keras.Input((6,))
    with pytest.raises(SpecError, match=message):
        use(compiled(layers.Dense(1)(inputs), inputs))


@pytest.mark.frameworks
def test_every_public_name_of_keras_is_carried_or_refused_by_name() -> None:
    rooms = ("activations", "callbacks", "config", "datasets", "initializers", "layers", "losses", "metrics", "models",
             "optimizers", "optimizers.schedules", "preprocessing", "regularizers", "utils")
    code = ("import keras, operator; "
            f"print(*(f'{{room}}.{{name}}' for room in {rooms} for name in dir(operator.attrgetter(room)(keras))), "
            "*dir(keras))")
    names = run_source("tensorflow", code).splitlines()[-1].split()
    public = [name for name in names if not name.split(".")[-1].startswith("_")]
    assert len(public) > 500
    for name in public:
        assert operator.attrgetter(name)(keras) is not None
