"""What replaces a stock pooling means the same; `poolings_alone.py` holds the comparison."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def differences() -> dict[str, float]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    result = subprocess.run([sys.executable, "-m", "tests.backends.tensorflow.poolings_alone"], capture_output=True,
                            text=True, cwd=Path(__file__).parents[3], env=environment)
    assert result.returncode == 0, result.stderr
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_replacements_agree_with_the_stock_layers(differences: dict[str, float]) -> None:
    assert len(differences) == 8
    assert {name: value for name, value in differences.items() if not value < 2e-5} == {}
