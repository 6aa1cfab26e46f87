"""Mistakes in a Keras script, and what Keras has and the harness has not: one clear sentence each."""

from __future__ import annotations

import io

import numpy as np
import pytest

from harness import keras
from harness.errors import SpecError
from harness.keras.progress import Progress
from harness.keras.state import OVERRIDES, execution


def compiled(**arguments: object) -> keras.Sequential:
    model = keras.Sequential([keras.layers.Dense(3, activation="softmax", input_shape=(6,))])
    model.compile(**{"loss": "sparse_categorical_crossentropy", **arguments})
    return model


@pytest.mark.parametrize(("arguments", "message"), [
    ({"steps_per_epoch": 3}, "steps_per_epoch=3"),
    ({"initial_epoch": 2}, "initial_epoch=2"),
    ({"validation_freq": 2}, "validation_freq=2"),
    ({"epochs": 0}, "epochs is a whole number of at least 1"),
    ({"epochs": 1.5}, "epochs is a whole number of at least 1"),
    ({"batch_size": -1}, "batch_size"),
    ({"callbacks": [lambda: None]}, "only EarlyStopping is carried"),
    ({"callbacks": [keras.callbacks.EarlyStopping(), keras.callbacks.EarlyStopping()]}, "two EarlyStopping"),
    ({"shuffle": "batch"}, "shuffle is True or False"),
    ({"validation_split": 1.5}, "validation_split must be"),
    ({"validation_data": 3}, r"expected \(x, y\)"),
    ({"y": None}, "y is None"),
    ({"x": iter([])}, "only arrays are trained on"),
    ({"y": np.zeros(7, int)}, "differ in their number of examples"),
    ({"x": np.full((8, 6), np.nan)}, "holds nan"),
    ({"sample_weight": -np.ones(8)}, "sample_weight"),
])
def test_fit(data, arguments: dict[str, object], message: str) -> None:
    x, y = data
    with pytest.raises(SpecError, match=message):
        compiled().fit(**{"x": x[:8], "y": y[:8], "verbose": 0, **arguments})


@pytest.mark.parametrize(("arguments", "message"), [
    ({"loss": None}, "compile needs a loss"),
    ({"optimizer": "adamm"}, "Did you mean 'Adam'"),
    ({"loss": "sparse_crossentropy"}, "unknown loss"),
    ({"metrics": ["acuracy"]}, "unknown metric"),
    ({"weighted_metrics": ["acuracy"]}, "weighted_metrics.*Did you mean 'accuracy'"),
    ({"run_eagerly": True}, "run_eagerly"),
    ({"optimizer": keras.optimizers.MultiOptimizer}, "optimizer"),
])
def test_compile(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        compiled(**arguments)


def test_before_compile(data) -> None:
    model = keras.Sequential([keras.layers.Dense(3, input_shape=(6,))])
    with pytest.raises(SpecError, match=r"call compile\(\) before"):
        model.fit(*data)
    with pytest.raises(SpecError, match=r"call compile\(\) before"):
        model.evaluate(*data)


@pytest.mark.frameworks
def test_a_mistake_that_only_the_plan_sees_is_told_in_full(data) -> None:
    x, y = data
    with pytest.raises(SpecError, match="labels out of range"):
        compiled().fit(x, y + 5, verbose=0)
    with pytest.raises(SpecError, match=r"examples of shape \(6,\)"):
        compiled().fit(x[:, :4], y, verbose=0)
    stop = keras.callbacks.EarlyStopping(monitor="val_los")
    with pytest.raises(SpecError, match="val_los"):
        compiled().fit(x, y, verbose=0, callbacks=[stop])


def test_models() -> None:
    with pytest.raises(SpecError, match="inputs and outputs"):
        keras.Model()
    with pytest.raises(SpecError, match="holds layers"):
        keras.Sequential([keras.layers.Dense(3), 7])
    with pytest.raises(SpecError, match="two layers are named 'a'"):
        keras.Sequential([keras.layers.Dense(3, name="a", input_shape=(2,)), keras.layers.Dense(3, name="a")])
    model = compiled()
    with pytest.raises(SpecError, match="Did you mean 'dense'"):
        model.get_layer("dens")
    with pytest.raises(SpecError, match="train_on_batch"):
        model.train_on_batch(1, 2)
    with pytest.raises(SpecError, match="cannot be set"):
        model.optimizer.beta_1 = 0.5
    with pytest.raises(SpecError, match="no half 'jax'"):
        model.get_weights(framework="jax")
    with pytest.raises(SpecError, match="whole number from 0"):
        keras.utils.set_random_seed("seed")
    with pytest.raises(SpecError, match="float32 or float64"):
        keras.config.set_floatx("float16")
    with pytest.raises(SpecError, match="training="):
        keras.layers.Dropout(0.5)(keras.Input((3,)), training=True)


def test_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OVERRIDES, "execution.threads=2 execution.compile=none")
    found = execution(compile="auto")
    assert (found.threads, found.compile, found.precision) == (2, "none", "float64")
    for wrong in ("execution.thread=2", "threads=2", "execution.threads"):
        monkeypatch.setenv(OVERRIDES, wrong)
        with pytest.raises(SpecError, match=r"expected execution\.key=value"):
            execution()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


EVENT = {"event": "step", "epoch": 2, "epochs": 5, "step": 1200, "steps": 9375, "loss": 0.43124,
         "samples_per_second": 12345.6}


@pytest.mark.parametrize(("verbose", "stream", "shown"), [
    ("auto", io.StringIO(), ""),
    (0, Terminal(), ""),
    (1, io.StringIO(), "TensorFlow  epoch 2/5  step 1,200/9,375  loss 0.4312  12,346 examples/s\n"),
    ("auto", Terminal(), "\rTensorFlow  epoch 2/5  step 1,200/9,375  loss 0.4312  12,346 examples/s\n"),
])
def test_progress(verbose: object, stream: io.StringIO, shown: str) -> None:
    with Progress(verbose, stream) as progress:
        progress.of("tensorflow")(EVENT)
        progress.done("tensorflow")
    assert stream.getvalue() == shown
