"""harness.export: its kinds of files, what it refuses, and ONNX files that run elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.errors import SpecError
from harness.models import load_model
from harness.plan.initial import initial_weights
from harness.records.checkpoint import load_checkpoint, save_checkpoint
from tests.forked import run_source

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
ONNX = """
import sys
import numpy as np, onnxruntime, torch
from pathlib import Path
import harness
from harness.plan.initial import initial_weights
spec = harness.load_model("cnn", input_shape=(9, 8, 2), filters=(3, 4), units=5, batch_normalization=True, dropout=0.3)
path = Path(sys.argv[1]) / "model.onnx"
weights = initial_weights(spec, 1)
(written,) = harness.export(spec, "onnx", path, weights)
network = harness.build(spec, "pytorch", weights).eval()
session = onnxruntime.InferenceSession(str(path))
assert [item.name for item in session.get_inputs()] == ["image"]
assert [item.name for item in session.get_outputs()] == ["predictions"]
for batch in (1, 5):
    x = np.random.default_rng(batch).normal(size=(batch, 9, 8, 2)).astype(np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(x)).numpy()
    (found,) = session.run(None, {"image": x})
    assert found.shape == (batch, 10)
    assert np.abs(found - wanted).max() < 1e-6
"""


def python(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.frameworks
def test_exported_files(tmp_path: Path) -> None:
    assert len(python("-m", "tests.exchange.exported_checks", str(tmp_path)).split()) == 5


@pytest.mark.frameworks
@pytest.mark.slow
def test_onnx_runs_with_any_batch(tmp_path: Path) -> None:
    run_source("pytorch", ONNX, tmp_path)


def test_onnx_without_its_packages(tmp_path: Path) -> None:
    program = (
        "import importlib.util, sys, harness\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name.startswith('onnx') else real(name, *more)\n"
        "try:\n    harness.export(harness.load_model('mlp'), 'onnx', sys.argv[1])\n"
        "except harness.SpecError as error:\n    print(error)\n")
    assert "pip install 'harness[onnx]'" in python("-c", program, str(tmp_path / "m.onnx"))


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_specs_and_the_weights_beside_them(tmp_path: Path, ending: str) -> None:
    spec = load_model("mlp", units=[5])
    path = tmp_path / f"model.{ending}"
    assert harness.export(spec, ending, path) == [path]
    assert load_model(path).digest == spec.digest
    weights = initial_weights(spec, 4)
    save_checkpoint(tmp_path / "given.safetensors", weights)
    for given in (weights, tmp_path / "given.safetensors"):
        _, beside = harness.export(spec, ending, path, given)
        stored = load_checkpoint(beside).weights
        assert all(np.array_equal(stored[name], value) for name, value in weights.items())


def test_what_cannot_be_written(tmp_path: Path) -> None:
    spec = load_model("mlp")
    for to, name, match in (
        ("torch", "m.py", "Did you mean 'pytorch'"), ("pytorch", "m.txt", r"ends in \.py"),
        ("keras", "m.h5", r"ends in \.keras"), ("pytorch", "nowhere/m.py", "no such folder"),
    ):
        with pytest.raises(SpecError, match=match):
            harness.export(spec, to, tmp_path / name)
    with pytest.raises(SpecError, match="unknown dtype"):
        harness.export(spec, "pytorch", tmp_path / "m.py", dtype="int8")
    with pytest.raises(SpecError, match="missing: hidden_1/kernel"):
        harness.export(spec, "pytorch", tmp_path / "m.py", {"predictions/bias": np.zeros(10)})
    assert not list(tmp_path.iterdir())
