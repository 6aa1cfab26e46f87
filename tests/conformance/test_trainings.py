"""Identical training: losses, weights and optimizer slots of both backends after 50 steps in float64."""

import json
from functools import partial

import numpy as np
import pytest

from tests.conformance.trainings import CASES, STEPS
from tests.forked import run_module, side_by_side

TOLERANCE = 1e-9

# name -> why the two cannot agree to the tolerance. Strict: a case that comes to agree fails until it is removed.
EXCEPTIONS: dict[str, str] = {}
# test_optimizers.py and tests/plan play each optimizer and schedule step by step, test_losses.py the loss; the others
# of these names take the way of a neighbour that always runs.
SWEPT = ("optimizer ", "schedule ", "loss generalized", "model mlp_128_64", "constraints, AdamW",
         "second phase goes on with Adam")
ALWAYS = ("optimizer AdamW, exclusion", "optimizer accumulation", "optimizer moving average", "schedule CosineDecay")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, chosen) -> dict[str, dict[str, np.ndarray]]:
    """Backend -> "case|what" -> array."""
    folder = tmp_path_factory.mktemp("trainings")
    backends = ("tensorflow", "pytorch")
    side_by_side(*(partial(run_module, backend, "tests.conformance.trainings", backend, json.dumps(chosen("name")),
                           folder / f"{backend}.npz") for backend in backends))
    return {backend: dict(np.load(folder / f"{backend}.npz")) for backend in backends}


def cases() -> list:
    def marks(name: str) -> list:
        marks = [pytest.mark.xfail(strict=True, reason=EXCEPTIONS[name])] if name in EXCEPTIONS else []
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
