"""harness.build, get_weights, set_weights and train, in both frameworks."""

import numpy as np
import pytest

from tests.forked import run_module

# fit reports a running mean, from which the loss of each step is taken back.
LOOSE = {"idiomatic losses": 1e-7}


@pytest.mark.frameworks
def test_both_frameworks_do_the_same(tmp_path):
    arrays = {}
    for backend in ("tensorflow", "pytorch"):
        out = tmp_path / f"{backend}.npz"
        run_module(backend, "tests.api.public", backend, out)
        arrays[backend] = dict(np.load(out))
    assert set(arrays["tensorflow"]) == set(arrays["pytorch"])
    for name, expected in arrays["tensorflow"].items():
        tolerance = LOOSE.get(name, 1e-9)
        np.testing.assert_allclose(arrays["pytorch"][name], expected, rtol=tolerance, atol=1e-11, err_msg=name)
