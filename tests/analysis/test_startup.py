"""Compilation counted: who finished first, and where the long-run winner catches up."""

import pytest

from harness.analysis.startup import start_up
from harness.records.record import Record


def record(backend: str, warm: float, rate: float, examples: int, seed: int = 0) -> Record:
    windows = [{"start": 0, "stop": 1, "seconds": warm, "warmup": True, "examples": 10},
               {"start": 1, "stop": 2, "seconds": examples / rate, "warmup": False, "examples": examples}]
    return Record({"id": "x", "status": "done", "cell": {"backend": backend, "seed": seed},
                   "phases": [{"name": "p", "epochs": [], "windows": windows}]})


def test_a_short_training_is_won_by_the_one_that_starts_at_once():
    found = start_up([(record("pytorch", 0.0, 1000, 5000), record("tensorflow", 10.0, 2000, 5000))])
    assert found is not None
    assert (found.fast, found.slow, found.reverses) == ("tensorflow", "pytorch", True)
    # 10 s later, and half a millisecond an example to gain.
    assert found.break_even == 20_000
    assert found.seconds == {"pytorch": pytest.approx(5.0), "tensorflow": pytest.approx(12.5)}
    assert "PyTorch finished these trainings first (5 s against 12.5 s" in found.sentence


def test_a_long_training_is_not_reversed():
    found = start_up([(record("pytorch", 0.0, 1000, 50_000), record("tensorflow", 10.0, 2000, 50_000))])
    assert found is not None
    assert not found.reverses


def test_nothing_measured_says_nothing():
    bare = Record({"id": "x", "status": "done", "cell": {"backend": "pytorch", "seed": 0}, "phases": []})
    assert start_up([(bare, bare)]) is None
