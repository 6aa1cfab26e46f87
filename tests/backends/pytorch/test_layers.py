"""The PyTorch layers beyond conformance; `layers_alone.py` holds the checks."""

from __future__ import annotations

import json

import pytest

from tests.forked import run_module

pytestmark = pytest.mark.frameworks
CHECKS = ("images compile as one graph", "steps compile as one graph", "feature maps stay channels last",
          "shared batch normalization", "images in bfloat16", "steps in bfloat16")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str | None]:
    printed = run_module("pytorch", "tests.backends.pytorch.layers_alone")
    return json.loads(printed.splitlines()[-1])


def test_every_check_is_listed(outcomes: dict[str, str | None]) -> None:
    assert set(outcomes) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_check(check: str, outcomes: dict[str, str | None]) -> None:
    assert outcomes[check] is None, outcomes[check]
