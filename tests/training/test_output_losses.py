"""The loss and the metrics, weighted and not, of each of several outputs, in the log of every epoch: both backends,
and what stock `fit` logs."""

from __future__ import annotations

import json

import pytest

from tests.forked import run_source

PROGRAM = """
import json, sys
import numpy as np
from harness import Input, Model, layers
from harness.backends import load_backend
from harness.data import from_arrays
from harness.spec.execution import Execution
from harness.spec.recipe import Recipe
from harness.training.run import Job, train

x = Input((4,), name="x")
hidden = layers.Dense(6, "tanh", name="hidden")(x)
spec = Model(x, [layers.Dense(3, "softmax", name="kind")(hidden), layers.Dense(1, name="size")(hidden)])
rng = np.random.default_rng(0)
features = rng.normal(size=(30, 4))
kind, size = rng.integers(0, 3, 30), rng.normal(size=(30, 1))
weights = {weight.name: rng.normal(size=weight.shape) * 0.3 for weight in spec.weights}
sample_weight = rng.uniform(0.2, 2.0, 30)
data = from_arrays(features, {"kind": kind, "size": size}, sample_weight=sample_weight,
                   validation=(features[:11], {"kind": kind[:11], "size": size[:11]}))
METRICS = {"kind": ["accuracy"], "size": ["mae"]}
WEIGHTED = {"kind": ["accuracy"], "size": ["mse", "mae"]}
recipe = Recipe(loss={"kind": "sparse_categorical_crossentropy", "size": "mse"}, loss_weights={"size": 0.5},
                optimizer={"Adam": {"learning_rate": 0.1, "loss_scale_factor": 64.0}}, epochs=3, batch_size=8,
                shuffle=False, metrics=METRICS, weighted_metrics=WEIGHTED)
found = {}
backend = sys.argv[1]
for tier in ("tuned", "idiomatic"):
    execution = Execution(precision="float64", compile="none", device="cpu", tier=tier)
    training = train(Job(spec, recipe, data, load_backend(backend), execution, weights=weights))
    found[tier] = training.phases[0].epochs
if backend == "tensorflow":
    import keras
    from harness.backends.tensorflow.model import build_model

    model = build_model(spec, weights, "float64", None)
    keras.config.set_floatx("float64")
    optimizer = keras.optimizers.Adam(np.float64(0.1), np.float64(0.9), np.float64(0.999), loss_scale_factor=64.0)
    model.compile(optimizer, loss=["sparse_categorical_crossentropy", "mse"], loss_weights=[1.0, 0.5],
                  metrics=list(METRICS.values()), weighted_metrics=list(WEIGHTED.values()))
    found["fit"] = model.fit(features, [kind, size], batch_size=8, epochs=3, shuffle=False, verbose=0,
                             sample_weight=sample_weight,
                             validation_data=(features[:11], [kind[:11], size[:11]])).history
json.dump(found, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("logs")
    for backend in ("tensorflow", "pytorch"):
        run_source(backend, PROGRAM, backend, folder / backend)
    return {backend: json.loads((folder / backend).read_text()) for backend in ("tensorflow", "pytorch")}


@pytest.mark.parametrize("backend", ["tensorflow", "pytorch"])
def test_the_log_is_that_of_fit(logs: dict[str, dict], backend: str) -> None:
    stock = logs["tensorflow"]["fit"]
    assert {"kind_loss", "size_loss", "val_kind_loss", "val_size_loss", "kind_accuracy", "kind_weighted_accuracy",
            "size_mae", "size_weighted_mae", "val_size_mse"} <= set(stock)
    for epoch, log in enumerate(logs[backend]["tuned"]):
        for name, values in stock.items():
            assert log[name] == pytest.approx(values[epoch], rel=1e-9), (epoch, name)


@pytest.mark.parametrize("backend", ["tensorflow", "pytorch"])
def test_the_idiomatic_tier_keeps_nothing_on_the_way(logs: dict[str, dict], backend: str) -> None:
    for log in logs[backend]["idiomatic"]:
        assert "kind_loss" not in log
        assert "val_size_loss" in log
