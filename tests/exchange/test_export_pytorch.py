"""The exported PyTorch file computes what the network does: every layer, operation and library model, to the bit or
nearly, without the harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cases.operations import CASES as OPERATIONS
from tests.conformance.engine import all_cases
from tests.exchange.applications import NAMES
from tests.forked import run_module, run_source
from tests.models.small import SMALL

pytestmark = pytest.mark.frameworks
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
TOLERANCE = 1e-12
# The other forms of the library's models are swept.
OFTEN = ("mlp", "mlp_64_64", "simple_cnn", "cnn", "resnet", "lstm_classifier", "gru_classifier", "transformer_encoder",
         "vae")
LIBRARY = [pytest.param(f"model/{name}", marks=[] if name in OFTEN else [pytest.mark.sweep]) for name in SMALL]
SWEPT = [*all_cases(), *(f"operation/{case.name}" for case in OPERATIONS)]
# Runs files as scripts, with nothing but torch to import; leaves what each printed, or how it failed.
ALONE = """
import contextlib, io, json, runpy, sys, torch, traceback
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("harness", "safetensors", "keras", "tensorflow", "pydantic"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
said = {}
for path in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            runpy.run_path(path, run_name="__main__")
        except Exception:
            traceback.print_exc(file=printed)
    said[path] = printed.getvalue()
json.dump(said, sys.stdout)
"""
# What Keras makes of an application's images in float32.
KERAS_FLOAT32 = """
import sys
import numpy as np
import harness
folder, name = sys.argv[1:]
spec, weights = harness.from_keras(f"{folder}/{name}.keras")
model = harness.build(spec, "tensorflow", weights=weights, dtype="float32")
x = np.load(f"{folder}/{name}.npz")["x"].astype(np.float32)
np.save(f"{folder}/{name}_float32.npy", np.asarray(model(x, training=False)))
"""


def run(folder: Path, *keys: str) -> dict[str, dict[str, Any]]:
    run_module("pytorch", "tests.exchange.run_exported_pytorch", folder, *keys)
    results: dict[str, dict[str, Any]] = json.loads((folder / "results.json").read_text())
    return results


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of the keys that this session selected: one process for all of them."""
    selected = {item.callspec.params["key"] for item in request.session.items
                if "key" in getattr(getattr(item, "callspec", None), "params", {}) and item.path == Path(__file__)}
    folder = tmp_path_factory.mktemp("exported")
    results = run(folder, *sorted(selected))
    return {key: {**result, "folder": folder} for key, result in results.items()}


@pytest.fixture(scope="module")
def alone(outcomes: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What the files of the library's models print where there is no harness: one process for all of them."""
    files = [outcome["folder"] / outcome["file"] for key, outcome in outcomes.items()
             if key.startswith("model/") and "file" in outcome]
    done = subprocess.run([sys.executable, "-c", ALONE, *map(str, files)], cwd=files[0].parent, env=ENVIRONMENT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, str] = json.loads(done.stdout)
    return said


def check(outcome: dict[str, Any]) -> None:
    assert "error" not in outcome, outcome["error"]
    assert outcome["worst"] <= TOLERANCE, outcome["file"]


@pytest.mark.parametrize("key", LIBRARY)
def test_library_models(key: str, outcomes: dict[str, dict[str, Any]], alone: dict[str, str]) -> None:
    check(outcomes[key])
    path = outcomes[key]["folder"] / outcomes[key]["file"]
    printed = alone[str(path)]
    assert "Traceback" not in printed, printed
    assert "(1, " in printed
    assert "harness" not in "\n".join(line for line in path.read_text().splitlines() if "import" in line)


@pytest.mark.parametrize("key", LIBRARY)
def test_files_are_tidy(key: str, outcomes: dict[str, dict[str, Any]]) -> None:
    """ruff finds nothing: no unused import, no long line, no name that is not there."""
    path = outcomes[key]["folder"] / outcomes[key]["file"]
    found = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--isolated", "--line-length", "120",
                            "--select", "E,F,I,W,B,UP", "--ignore", "B905", str(path)],
                           capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.sweep
@pytest.mark.parametrize("key", SWEPT)
def test_layers_and_operations(key: str, outcomes: dict[str, dict[str, Any]]) -> None:
    check(outcomes[key])


@pytest.mark.sweep
@pytest.mark.parametrize("name", NAMES)
def test_applications(name: str, tmp_path: Path) -> None:
    """In float64 to 1e-8. In float32 to 1e-5 of Keras's float32, or, where that is more, to twice as far as rounding
    alone moves Keras's own outputs: ResNet152 and NASNetMobile differ by 1.5e-5 in float32, by 3e-14 in float64."""
    run_module("tensorflow", "tests.exchange.applications", "keras", tmp_path, name)
    run_source("tensorflow", KERAS_FLOAT32, tmp_path, name)
    (outcome,) = run(tmp_path, f"application/{name}").values()
    assert "error" not in outcome, outcome["error"]
    assert outcome["float64"] < 1e-8
    assert outcome["float32"] < max(1e-5, 2 * outcome["keras"])
