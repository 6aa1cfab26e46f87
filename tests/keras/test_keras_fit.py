"""fit, evaluate and predict under harness.keras, in both frameworks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import keras
from harness.errors import CellFailed, SpecError
from tests.keras.conftest import CLASSES, FEATURES

pytestmark = pytest.mark.frameworks


def model_of(**arguments: object) -> keras.Sequential:
    model = keras.Sequential([
        keras.layers.Dense(5, activation="tanh", input_shape=(FEATURES,), name="hidden"),
        keras.layers.Dense(CLASSES, activation="softmax", name="head"),
    ])
    given = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **arguments}
    model.compile(**given)
    return model


def close(ours: list[np.ndarray], theirs: list[np.ndarray], tolerance: float = 1e-9) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_history_comparison_and_a_second_fit(data, tmp_path: Path) -> None:
    x, y = data
    model = model_of()
    start = model.get_weights()
    history = model.fit(x, y, epochs=2, batch_size=10, validation_split=0.25, shuffle=False, verbose=0)
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.epoch == [0, 1]
    assert history.params == {"verbose": 0, "epochs": 2, "steps": 5}
    close(model.get_weights(), model.get_weights(framework="pytorch"))
    assert not np.allclose(model.get_weights()[0], start[0])
    # validation_split is the last part, measured after the epoch.
    results = model.evaluate(x[48:], y[48:], verbose=0)
    np.testing.assert_allclose(results, [history.history["val_loss"][-1], history.history["val_accuracy"][-1]])
    by_name = model.evaluate(x[48:], y[48:], verbose=0, return_dict=True, framework="pytorch")
    np.testing.assert_allclose([by_name["loss"], by_name["accuracy"]], results)

    more = model.fit(x, y, epochs=2, batch_size=10, validation_split=0.25, shuffle=False, verbose=0)
    assert model.optimizer.iterations == 20
    whole = model_of()
    whole.set_weights(start)
    at_once = whole.fit(x[:48], y[:48], epochs=4, batch_size=10, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"] + more.history["loss"], at_once.history["loss"], rtol=1e-12)
    close(model.get_weights(), whole.get_weights(), 1e-12)

    cells = history.comparison.cells()
    assert list(cells["backend"]) == ["pytorch", "tensorflow"]
    assert (cells["status"] == "done").all()
    report = history.comparison.report(tmp_path / "report")
    assert report.name == "report.html"
    assert report.is_file()
    assert "PyTorch" in history.comparison.which().sentence
    assert "<svg" in history.comparison._repr_html_()
    assert "val_loss TensorFlow  val_loss PyTorch" in str(history.comparison)
    assert not list(tmp_path.rglob("arrays.npz"))


def test_compile_again_starts_the_optimizer_anew_and_freezes(data) -> None:
    x, y = data
    model = model_of()
    model.fit(x, y, epochs=1, verbose=0)
    before = model.get_weights()
    model.get_layer("hidden").trainable = False
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    assert model.optimizer.iterations == 0
    history = model.fit(x, y, epochs=1, verbose=0)
    assert list(history.history) == ["loss"]
    after = model.get_weights()
    close(after[:2], before[:2], 0)
    assert np.abs(after[2] - before[2]).max() > 1e-3
    close(model.get_weights(framework="pytorch"), after)
    # As in Keras, a change of trainable after compile and fit waits for the next compile.
    model.trainable = True
    with pytest.warns(UserWarning, match="next compile"):
        model.fit(x, y, epochs=1, verbose=0)
    close(model.get_weights()[:2], before[:2], 0)


def test_an_optimizer_given_again_is_the_same_optimizer(data) -> None:
    x, y = data
    optimizer = keras.optimizers.Adam(0.01)
    model = model_of(optimizer=optimizer)
    model.fit(x, y, epochs=1, verbose=0)
    model.optimizer.learning_rate = 0.5
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    assert model.optimizer.iterations == 2
    assert model.optimizer.learning_rate == 0.5
    frozen = model_of(optimizer=optimizer)
    frozen.layers[0].trainable = False
    frozen.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    frozen.fit(x, y, verbose=0)
    frozen.trainable = True
    frozen.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    with pytest.raises(SpecError, match="does not know hidden/kernel"):
        frozen.fit(x, y, verbose=0)


def test_early_stopping_restores_the_best_weights(data) -> None:
    x, y = data
    model = model_of()
    stop = keras.callbacks.EarlyStopping(monitor="loss", min_delta=100.0, patience=2, restore_best_weights=True)
    history = model.fit(x, y, epochs=9, verbose=0, callbacks=[stop])
    assert history.epoch == [0, 1, 2]
    keras.utils.set_random_seed(0)
    alone = model_of()
    alone.fit(x, y, epochs=1, verbose=0)
    close(model.get_weights(), alone.get_weights(), 1e-12)


def test_class_and_sample_weights_are_the_same_thing(data) -> None:
    x, y = data
    factors = np.array([1.0, 3.0, 0.5])
    model = model_of()
    kernel, bias, last, end = model.get_weights()
    scores = np.tanh(x @ kernel + bias) @ last + end
    losses = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(y)), y]
    by_class = model.fit(x, y, batch_size=64, verbose=0, class_weight=dict(enumerate(factors)))
    keras.utils.set_random_seed(0)
    by_sample = model_of().fit(x, y, batch_size=64, verbose=0, sample_weight=factors[y])
    assert by_class.history["loss"] == by_sample.history["loss"]
    # Keras divides by the number of examples, not by the sum of their weights.
    np.testing.assert_allclose(by_class.history["loss"], [(losses * factors[y]).mean()], rtol=1e-12)


def test_several_inputs_and_outputs_by_name(data) -> None:
    x, y = data
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    both = keras.layers.Concatenate()([left, right])
    model = keras.Model([left, right], [keras.layers.Dense(CLASSES, name="label")(both),
                                        keras.layers.Dense(1, name="size")(both)])
    model.compile(optimizer="sgd", metrics={"label": ["accuracy"], "size": ["mae"]}, loss_weights={"size": 0.1}, loss={
        "label": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"})
    inputs, targets = {"left": x[:, :3], "right": x[:, 3:]}, {"label": y, "size": np.abs(x).sum(1)}
    history = model.fit(inputs, targets, epochs=1, verbose=0, validation_data=(inputs, targets))
    assert {"loss", "label_accuracy", "size_mae", "val_loss", "val_size_mae"} <= set(history.history)
    outputs = model.predict([x[:, :3], x[:, 3:]], verbose=0)
    assert [output.shape for output in outputs] == [(64, CLASSES), (64, 1)]
    close(outputs, model.predict(inputs, framework="pytorch"))


def test_a_model_without_a_shape_is_built_from_the_data_and_predicts_uncompiled(data) -> None:
    x, _ = data
    layers = keras.layers
    model = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dropout(0.5), layers.Dense(2)])
    outputs = model.predict(x, verbose=0)
    kernel, bias, last, end = model.get_weights()
    np.testing.assert_allclose(outputs, np.maximum(x @ kernel + bias, 0) @ last + end, rtol=1e-12)
    np.testing.assert_allclose(model(x), outputs)
    close([outputs], [model.predict(x, framework="pytorch")])


def test_a_training_that_breaks_leaves_the_model_as_it_was(data, tmp_path: Path) -> None:
    x, _ = data
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(FEATURES,))])
    model.compile(optimizer=keras.optimizers.SGD(1e200), loss="mse")
    before = model.get_weights()
    with pytest.raises(CellFailed, match="tensorflow: the loss became"):
        model.fit(x, x.sum(1), epochs=4, verbose=0)
    close(model.get_weights(), before, 0)
    assert model.optimizer.iterations == 0
    assert len(list(tmp_path.rglob("run.json"))) == 2


def test_runs_with_other_seeds_count_together(data) -> None:
    x, y = data
    first = model_of().fit(x, y, verbose=0)
    keras.utils.set_random_seed(1)
    second = model_of().fit(x, y, verbose=0)
    assert first.comparison.path == second.comparison.path
    assert sorted(set(second.comparison.cells()["seed"])) == [0, 1]
    assert {record.seed for record in second.comparison.halves()} == {1}
    other = model_of().fit(x[:32], y[:32], verbose=0)
    assert other.comparison.path != first.comparison.path
