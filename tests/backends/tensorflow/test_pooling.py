"""What replaces a stock pooling means the same; `poolings_alone.py` holds the comparison."""

from __future__ import annotations

import json

import pytest

from tests.forked import run_module

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def differences() -> dict[str, float]:
    printed = run_module("tensorflow", "tests.backends.tensorflow.poolings_alone")
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return found


def test_replacements_agree_with_the_stock_layers(differences: dict[str, float]) -> None:
    assert len(differences) == 8
    assert {name: value for name, value in differences.items() if not value < 2e-5} == {}
