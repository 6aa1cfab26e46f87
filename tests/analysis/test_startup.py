"""Compilation counted: who finished first, and where the long-run winner catches up."""

import pytest

from harness.analysis.blocks import pair_blocks
from harness.analysis.startup import break_even_steps, start_up
from harness.records.blocks import Block
from harness.records.record import Record
from tests.report.synthetic import block, payload


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


def blocks(compiling: dict[str, float], speeds: dict[str, float], n: int = 6):
    made = [Block(block(payload(), number, speeds)) for number in range(n)]
    for item in made:
        for name, seconds in compiling.items():
            item.halves[name]["compile_seconds"] = seconds
    return pair_blocks(made, "pytorch", "tensorflow")


def test_break_even_in_steps_by_blocks():
    # 8 examples a step: 4 ms against 8 ms, and 10 s of compilation to make good.
    found = break_even_steps(blocks({"tensorflow": 10.0, "pytorch": 0.0}, {"tensorflow": 2000.0, "pytorch": 1000.0}))
    assert found is not None
    name, figure = found
    assert (name, figure.n, figure.unit) == ("tensorflow", 6, "steps")
    assert figure.value == pytest.approx(2500, rel=0.01)
    assert figure.low < 2500 < figure.high
    at_once = break_even_steps(blocks({"tensorflow": 0.0, "pytorch": 1.0}, {"tensorflow": 2000.0, "pytorch": 1000.0}))
    assert at_once is not None
    assert (at_once[1].value, at_once[1].high) == (0.0, 0.0)


def test_no_break_even_where_steps_are_alike_or_unknown():
    assert break_even_steps(blocks({"tensorflow": 9.0, "pytorch": 0.0}, {"tensorflow": 1e3, "pytorch": 1e3})) is None
    assert break_even_steps(blocks({}, {"tensorflow": 2000.0, "pytorch": 1000.0})) is None
    assert break_even_steps(blocks({"tensorflow": 9.0, "pytorch": 0.0}, {"tensorflow": 2e3, "pytorch": 1e3}, 1)) is None


def test_break_even_where_later_blocks_took_over_what_was_compiled():
    made = blocks({"tensorflow": 10.0, "pytorch": 0.0}, {"tensorflow": 2000.0, "pytorch": 1000.0})
    for block_ in made.done[2:]:
        block_.halves["pytorch"]["compile_seconds"] = None
    found = break_even_steps(made)
    assert found is not None
    assert (found[0], found[1].n) == ("tensorflow", 2)
    assert found[1].value == pytest.approx(2500, rel=0.01)
    for block_ in made.done[1:]:
        block_.halves["pytorch"]["compile_seconds"] = None
    assert break_even_steps(made) is None
