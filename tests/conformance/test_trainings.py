"""Identical training: losses, weights and optimizer slots of both backends after 50 steps in float64."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conformance.trainings import CASES, STEPS

TOLERANCE = 1e-9
ROOT = Path(__file__).parents[2]

# name -> why the two cannot agree to the tolerance. Strict: a case that comes to agree fails until it is removed.
EXCEPTIONS: dict[str, str] = {}
SWEPT = ("optimizer ", "schedule ")
ALWAYS = ("optimizer AdamW, exclusion", "optimizer accumulation", "optimizer moving average", "schedule CosineDecay")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, chosen) -> dict[str, dict[str, np.ndarray]]:
    """Backend -> "case|what" -> array."""
    folder = tmp_path_factory.mktemp("trainings")
    processes = {
        backend: subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.trainings", backend, json.dumps(chosen("name")),
             str(folder / f"{backend}.npz")], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for backend in ("tensorflow", "pytorch")
    }
    for backend, process in processes.items():
        output, _ = process.communicate()
        assert process.returncode == 0, f"{backend}:\n{output[-4000:]}"
    return {backend: dict(np.load(folder / f"{backend}.npz")) for backend in processes}


def cases() -> list:
    def marks(name: str) -> list:
        marks = [pytest.mark.xfail(strict=True, reason=EXCEPTIONS[name])] if name in EXCEPTIONS else []
        # test_optimizers.py and tests/plan play each of them, step by step.
        return [*marks, pytest.mark.sweep] if name.startswith(SWEPT) and name not in ALWAYS else marks

    return [pytest.param(name, marks=marks(name)) for name in CASES]


@pytest.mark.frameworks
@pytest.mark.xdist_group("trainings")
@pytest.mark.parametrize("name", cases())
def test_the_same_training(trained, name):
    tensorflow, pytorch = (
        {key: array for key, array in trained[backend].items() if key.startswith(f"{name}|")}
        for backend in ("tensorflow", "pytorch")
    )
    assert set(tensorflow) == set(pytorch)
    losses = tensorflow[f"{name}|losses"]
    assert len(losses) == STEPS
    assert np.abs(np.diff(losses)).max() > 0
    for key, expected in tensorflow.items():
        scale = max(np.abs(expected).max(), 1e-3)
        distance = np.abs(pytorch[key] - expected).max() / scale
        assert distance <= TOLERANCE, f"{key}: {distance:.2e}"
