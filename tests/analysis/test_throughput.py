"""Tables of speed and of phases."""

from __future__ import annotations

import pytest

from harness.analysis.settings import settings
from harness.analysis.throughput import phase_table, throughput_table
from tests.report.synthetic import SPEEDS, pairs


def test_throughput_table(tmp_path):
    (setting,) = settings(pairs(tmp_path).records())
    rows = throughput_table(setting)
    assert [(row["backend"], row["n"]) for row in rows] == [("pytorch", 3), ("tensorflow", 3)]
    figure = rows[0]["samples_per_second"]
    assert figure.value == pytest.approx(SPEEDS["pytorch"] * 1.002)
    assert figure.low < figure.value < figure.high
    assert figure.unit == "examples/s"
    assert rows[0]["peak_bytes"] is None


def test_phase_table(tmp_path):
    (setting,) = settings(pairs(tmp_path).records())
    rows = phase_table(setting)
    assert [(row["backend"], row["phase"]) for row in rows] == [
        *(("pytorch", "pretrain"), ("pytorch", "finetune")),
        *(("tensorflow", "pretrain"), ("tensorflow", "finetune")),
    ]
    assert rows[1]["epochs"] == 2
    assert rows[1]["programs"] == ["Adam"]
    assert rows[1]["metrics"]["accuracy"] == pytest.approx(0.88)
    assert rows[1]["samples_per_second"] == pytest.approx(SPEEDS["pytorch"] * 1.002)
