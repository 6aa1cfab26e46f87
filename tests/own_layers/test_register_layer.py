"""A registered layer is a layer like any other: in specs, in both backends, in the workers' processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness import layers
from harness.errors import SpecError
from harness.spec.layers.registration import VARIABLE

ROOT = Path(__file__).parents[2]
MODEL = """
name: scaled
inputs: [{name: x, shape: [8, 8]}]
layers:
  - Flatten: {}
  - ChannelScale: {offset: 0.5, scale_initializer: {RandomNormal: {mean: 1.0}}, name: scale}
  - Dense: {units: 10, name: logits, activation: softmax}
outputs: [logits]
"""
PREDICT = """
import sys, numpy, harness
spec = harness.load_model(sys.argv[1])
x = numpy.linspace(-1, 1, 3 * 64).reshape(3, 8, 8)
model = harness.build(spec, sys.argv[2], seed=3, dtype="float64")
if sys.argv[2] == "tensorflow":
    y = numpy.asarray(model(x))
else:
    import torch
    y = model(torch.from_numpy(x)).detach().numpy()
assert abs(harness.get_weights(model)["scale/scale"].mean() - 1) < 0.1
numpy.save(sys.argv[3], y)
"""
TRAIN = """
import sys, harness
results = harness.run({
    "data": {"source": "digits", "limit": {"train": 200}},
    "recipe": {"loss": "sparse_categorical_crossentropy", "epochs": 1},
    "matrix": {"model": [sys.argv[1]], "backend": ["tensorflow", "pytorch"]},
}, out=sys.argv[2])
losses = results.cells()["loss"]
assert len(losses) == 2 and abs(losses.iloc[0] - losses.iloc[1]) < 1e-4, losses
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "scaled.yaml").write_text(MODEL)
    return tmp_path / "scaled.yaml"


def play(program: str, *arguments: object) -> None:
    environment = {**os.environ, VARIABLE: "tests.own_layers.layers", "PYTHONPATH": str(ROOT),
                   "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], env=environment, cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.frameworks
def test_both_backends_build_it_alike(model: Path, tmp_path: Path) -> None:
    import numpy as np

    for backend in ("tensorflow", "pytorch"):
        play(PREDICT, model, backend, tmp_path / f"{backend}.npy")
    ours, theirs = (np.load(tmp_path / f"{backend}.npy") for backend in ("pytorch", "tensorflow"))
    assert np.abs(ours - theirs).max() < 1e-12


@pytest.mark.frameworks
def test_workers_know_it(model: Path, tmp_path: Path) -> None:
    play(TRAIN, model, tmp_path / "results")


def test_an_unknown_layer_imports_what_the_variable_names(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tests.own_layers.absent")
    with pytest.raises(SpecError, match=r"tests\.own_layers\.absent"):
        layers.LAYERS.find("NoSuchLayer")


@pytest.mark.parametrize(("arguments", "message"), [
    ({"tensorflow": "a.b", "pytorch": "a:b"}, "module:function"),
    ({"tensorflow": "a:b", "pytorch": ":b"}, "module:function"),
])
def test_builders_are_named(arguments: dict[str, str], message: str) -> None:
    class Unregistered(layers.Layer):
        pass

    with pytest.raises(SpecError, match=message):
        harness.register_layer(Unregistered, **arguments)


def test_keras_s_layers_stay_keras_s() -> None:
    Dense = type("Dense", (layers.Layer,), {"__module__": __name__})
    with pytest.raises(SpecError, match="cannot be replaced"):
        harness.register_layer(Dense, tensorflow="a:b", pytorch="a:b")
    with pytest.raises(SpecError, match="subclass of harness"):
        harness.register_layer(dict, tensorflow="a:b", pytorch="a:b")  # type: ignore[arg-type]


def test_a_builder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, os.environ.get(VARIABLE, ""))  # where the registration is announced
    for table in ("_classes", "_by_name"):  # the registration ends with the test
        monkeypatch.setattr(layers.LAYERS, table, dict(getattr(layers.LAYERS, table)))

    class Elsewhere(layers.Layer):
        pass

    harness.register_layer(Elsewhere, tensorflow="tests.own_layers.absent:build", pytorch="tests.own_layers.absent:b")
    from harness.spec.layers.registration import registered_builder

    with pytest.raises(SpecError, match="absent:build"):
        registered_builder(Elsewhere, "tensorflow")
