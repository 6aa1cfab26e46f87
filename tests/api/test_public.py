"""harness.build, get_weights, set_weights and train, in both frameworks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
# fit reports a running mean, from which the loss of each step is taken back.
LOOSE = {"idiomatic losses": 1e-7}


@pytest.mark.frameworks
def test_both_frameworks_do_the_same(tmp_path):
    arrays = {}
    for backend in ("tensorflow", "pytorch"):
        out = tmp_path / f"{backend}.npz"
        result = subprocess.run([sys.executable, "-m", "tests.api.public", backend, str(out)], cwd=ROOT,
                                capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr[-3000:]
        arrays[backend] = dict(np.load(out))
    assert set(arrays["tensorflow"]) == set(arrays["pytorch"])
    for name, expected in arrays["tensorflow"].items():
        tolerance = LOOSE.get(name, 1e-9)
        np.testing.assert_allclose(arrays["pytorch"][name], expected, rtol=tolerance, atol=1e-11, err_msg=name)
