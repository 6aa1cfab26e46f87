"""Constraints and activity regularizers of every layer: the penalty and the weights after an update, in float64."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conformance.restrictions import cases

pytestmark = pytest.mark.frameworks
ROOT = Path(__file__).parents[2]
CASES = cases()


@pytest.fixture(scope="module")
def updated(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """Backend -> "case|what" -> array."""
    folder = tmp_path_factory.mktemp("restrictions")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    processes = {
        backend: subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.restrictions", backend, str(folder / f"{backend}.npz")],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for backend in ("tensorflow", "pytorch")
    }
    for backend, process in processes.items():
        output, _ = process.communicate()
        assert process.returncode == 0, f"{backend}:\n{output[-4000:]}"
    return {backend: dict(np.load(folder / f"{backend}.npz")) for backend in processes}


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_same_restriction(updated, name):
    theirs, ours = (
        {key.partition("|")[2]: array for key, array in updated[backend].items() if key.startswith(f"{name}|")}
        for backend in ("tensorflow", "pytorch")
    )
    for found in (theirs, ours):
        assert "error" not in found, str(found["error"])
    assert set(theirs) == set(ours)
    for key, expected in theirs.items():
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        assert np.abs(ours[key] - expected).max(initial=0.0) <= CASES[name].tolerance * scale, key


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_penalty_is_there(updated, name):
    layer = CASES[name].layer(None)
    assert (float(updated["tensorflow"][f"{name}|penalty"]) > 0) == layer.regularizes_activity


def test_constraints_act(updated):
    """The restricted kernel of a Dense is where Keras puts it: no column longer than 0.3 after MaxNorm(0.3)."""
    kernel = next(array for key, array in updated["pytorch"].items()
                  if key.startswith("Dense|weight") and key.endswith("kernel"))
    assert np.linalg.norm(kernel, axis=0).max() <= 0.3
