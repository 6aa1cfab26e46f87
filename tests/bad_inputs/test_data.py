"""Broken data and foreign checkpoints: found by `run` before it writes anything or starts a framework."""

from pathlib import Path

import pytest

from tests.bad_inputs.case import Case
from tests.bad_inputs.data import CASES
from tests.bad_inputs.outcome import assert_refused


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    assert_refused(case, tmp_path, monkeypatch, capfd)
