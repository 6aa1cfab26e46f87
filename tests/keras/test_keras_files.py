"""Keras's own files under harness.keras: saved here and loaded there, and the other way round."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness import keras
from harness.errors import SpecError
from tests.forked import run_source

STOCK = """
import sys, numpy as np
import keras
folder = sys.argv[1]
ours = keras.models.load_model(folder + "/ours.keras")
x = np.linspace(-1, 1, 12, dtype="float32").reshape(2, 6)
np.savez(folder + "/ours.npz", *ours.get_weights(), y=ours.predict(x, verbose=0))
again = keras.models.model_from_json(open(folder + "/ours.json").read())
assert [tuple(w.shape) for w in again.weights] == [tuple(w.shape) for w in ours.weights]
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, activation="relu", kernel_regularizer="l2"),
                          keras.layers.BatchNormalization(), keras.layers.Dense(3, activation="softmax")])
model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.02), "sparse_categorical_crossentropy",
              metrics=["accuracy"])
model.save(folder + "/theirs.keras")
model.save_weights(folder + "/theirs.weights.h5")
np.savez(folder + "/theirs.npz", *model.get_weights(), y=model.predict(x, verbose=0))
"""


@pytest.fixture(autouse=True)
def single_precision(script: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras's default, which is what its files hold."""
    monkeypatch.setattr("harness.keras.state.STATE.precision", "float32")


def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    x = keras.Input((6,), name="x")
    shared = keras.layers.Dense(6, activation="tanh", name="shared")
    y = keras.layers.Dropout(0.2)(shared(shared(x)) + x)
    return keras.Model(x, keras.layers.Dense(2, name="out")(y * 0.5), name="network")


def test_saved_and_loaded_again(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.spec.digest == model.spec.digest
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(ours.astype("float32"), theirs)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    config = keras.models.model_from_json(model.to_json())
    assert config.spec.digest == model.spec.digest
    again.set_weights([0 * array for array in again.get_weights()])
    again.load_weights(tmp_path / "m.keras")
    assert np.array_equal(again.get_weights()[0], model.get_weights()[0].astype("float32"))
    with pytest.raises(SpecError, match="exists"):
        model.save(tmp_path / "m.keras", overwrite=False)


def test_what_is_refused(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "m.keras")
    with pytest.raises(SpecError, match="safe_mode"):
        keras.models.load_model(tmp_path / "m.keras", safe_mode=False)
    with pytest.raises(SpecError, match="register_layer"):
        keras.models.load_model(tmp_path / "m.keras", custom_objects={"A": object})
    with pytest.raises(SpecError, match="JSON"):
        keras.models.model_from_json("{")
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(SpecError, match="do not fit"):
        other.load_weights(tmp_path / "m.keras")


@pytest.mark.frameworks
def test_files_travel_between_keras_and_here(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "ours.keras")
    (tmp_path / "ours.json").write_text(model.to_json())
    run_source("tensorflow", STOCK, tmp_path)
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(2, 6)
    with np.load(tmp_path / "ours.npz") as theirs:
        for index, ours in enumerate(model.get_weights()):
            assert np.array_equal(ours.astype("float32"), theirs[f"arr_{index}"])
        assert np.allclose(model.predict(x, verbose=0), theirs["y"], atol=1e-6)

    loaded = keras.models.load_model(tmp_path / "theirs.keras")
    with np.load(tmp_path / "theirs.npz") as theirs:
        for index, ours in enumerate(loaded.get_weights()):
            assert np.array_equal(ours, theirs[f"arr_{index}"])
        assert np.allclose(loaded.predict(x, framework="pytorch", verbose=0), theirs["y"], atol=1e-6)
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.01)
    assert type(loaded.loss).__name__ == "SparseCategoricalCrossentropy"
    loaded.set_weights([0 * array for array in loaded.get_weights()])
    loaded.load_weights(tmp_path / "theirs.weights.h5")
    with np.load(tmp_path / "theirs.npz") as theirs:
        assert np.array_equal(loaded.get_weights()[0], theirs["arr_0"])
    assert json.loads(loaded.to_json())["class_name"] == "Functional"
