"""Session.readback, trace and forced of the TensorFlow backend, in a process of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.forked import run_script

HERE = Path(__file__).parent
PROGRAM = HERE / "session_trace_tensorflow.py"
CHECKS = [line.split("(")[0].split()[1] for line in PROGRAM.read_text().splitlines() if "    def check_" in line]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    file = tmp_path_factory.mktemp("checks") / "results.json"
    run_script("tensorflow", PROGRAM, file)
    found: dict[str, str | None] = json.loads(file.read_text())
    return found


@pytest.mark.frameworks
@pytest.mark.parametrize("check", CHECKS)
def test_what_a_session_tells_is_what_it_plays(check: str, results: dict[str, str | None]) -> None:
    assert check in results, results
    assert results[check] is None, results[check]
