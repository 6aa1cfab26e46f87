"""harness certify --keras --torch: what is missing or wrong is told before anything is started."""

from __future__ import annotations

import pytest

from harness.cli.main import main


@pytest.mark.parametrize(("arguments", "told"), [
    (["--keras", "model.keras"], "--keras goes with --torch"),
    ([], "there is no model"),
    (["mlp_64_64", "--torch", "ports.py:build", "--layout", "sideways"], "--layout is one of auto, channels_first"),
    (["mlp_64_64", "--torch", "ports.py:build", "--precision", "float16"], "--precision is one of float32, float64"),
])
def test_what_is_missing_is_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certify", *arguments]) == 4
    assert told in capsys.readouterr().err
