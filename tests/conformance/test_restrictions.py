"""Constraints and activity regularizers of every layer: the penalty and the weights after an update, in float64."""

from functools import partial

import numpy as np
import pytest

from tests.conformance.restrictions import cases
from tests.forked import run_module, side_by_side

pytestmark = pytest.mark.frameworks
CASES = cases()


@pytest.fixture(scope="module")
def updated(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """Backend -> "case|what" -> array."""
    folder = tmp_path_factory.mktemp("restrictions")
    backends = ("tensorflow", "pytorch")
    side_by_side(*(partial(run_module, backend, "tests.conformance.restrictions", backend, folder / f"{backend}.npz")
                   for backend in backends))
    return {backend: dict(np.load(folder / f"{backend}.npz")) for backend in backends}


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
