"""What must become of a broken input."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from harness.cli.main import main
from tests.bad_inputs.case import Case, listing


def assert_refused(
    case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:
    """Runs the command in the folder: exit code 4, one message that says all that is expected, nothing written."""
    case.write(folder)
    monkeypatch.chdir(folder)
    before = listing(folder)
    code = main(shlex.split(case.command))
    out, err = capfd.readouterr()
    assert code == 4, (code, out, err)
    assert_one_message(err, case.expected)
    assert out == ""
    assert listing(folder) == before


def assert_one_message(err: str, expected: tuple[str, ...]) -> None:
    """One line (and, for a usage error, where to find help), without a traceback."""
    lines = [line for line in err.splitlines() if line.strip()]
    messages = [line for line in lines if not line.startswith("Try 'harness")]
    assert len(messages) == 1, err
    assert messages[0].startswith("harness"), err
    assert len(messages[0]) < 1000, err
    for pattern in expected:
        assert re.search(pattern, messages[0]), (pattern, messages[0])
    for forbidden in ("Traceback", "pydantic.dev", "validation error", "File \"", "<frozen"):
        assert forbidden not in err
