"""Layers that write over their input; `inplace_alone.py` holds the checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.frameworks
CHECKS = ("sole readers write over", "gradients keep what they need", "hooks see gradients", "others do not",
          "new tensors are new", "attention reads before the sum", "sums of other shapes are new",
          "numbers are the same", "functions are the same")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str | None]:
    result = subprocess.run([sys.executable, "-m", "tests.backends.pytorch.inplace_alone"], capture_output=True,
                            text=True, cwd=Path(__file__).parents[3])
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_every_check_is_listed(outcomes: dict[str, str | None]) -> None:
    assert set(outcomes) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_check(check: str, outcomes: dict[str, str | None]) -> None:
    assert outcomes[check] is None, outcomes[check]
