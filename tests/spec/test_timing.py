"""How an experiment says that its backends are timed: defaults, mistakes, and the way back."""

from __future__ import annotations

import json

import pytest

from harness.errors import SpecError
from harness.spec.experiment import Experiment, read_experiment
from harness.spec.timing import Timing


def parse(timing):
    return Experiment.parse({"model": "mlp", "timing": timing})


def test_blocks_are_timed_unless_the_experiment_says_otherwise():
    found = Experiment.parse({"model": "mlp"}).timing
    assert found == parse(True).timing == parse(None).timing == parse({}).timing == Timing()
    assert found.looks == (6, 12, 24)
    assert parse(False).timing is None


def test_the_resolved_form_reads_back():
    for timing in (False, {}, {"looks": [3, 6], "window_seconds": 0.5, "batch_sizes": [1, 8], "latency": False}):
        experiment = parse(timing)
        written = json.loads(json.dumps(experiment.to_data()))
        assert Experiment.parse(written).timing == experiment.timing
        assert timing is False or written["timing"]["looks"]


def test_overrides_reach_it(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: mlp\n")
    assert read_experiment(path, ["timing.looks=[4]", "timing.window_seconds=0.2"]).timing == Timing(
        looks=(4,), window_seconds=0.2)
    assert read_experiment(path, ["timing=false"]).timing is None


@pytest.mark.parametrize(("timing", "words"), [
    ({"look": [6]}, "Did you mean 'looks'"),
    ({"looks": []}, "at least 1"),
    ({"looks": [1, 6]}, "greater than or equal to 2"),
    ({"looks": [12, 6]}, "from small to large"),
    ({"looks": [6, 6]}, "each once"),
    ({"window_seconds": 0}, "greater than 0"),
    ({"window_seconds": float("inf")}, "window_seconds"),
    ({"window_steps": 0}, "window_steps"),
    ({"warmup_seconds": -1}, "warmup_seconds"),
    ({"steadiness": 1.0}, "less than 1"),
    ({"batch_sizes": [8, 1]}, "from small to large"),
    ({"order": "AABB"}, "'ABBA' or 'ABAB'"),
    ({"cost_per_hour": 0}, "greater than 0"),
    ("fast", "a mapping or false"),
    (6, "a mapping or false"),
])
def test_mistakes_are_named(timing, words):
    with pytest.raises(SpecError, match="timing") as caught:
        parse(timing)
    assert words in str(caught.value)


def test_the_line_of_a_mistake(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: mlp\ntiming:\n  looks: [6, 12]\n  steadyness: 0.01\n")
    with pytest.raises(SpecError, match=r"mine\.yaml, line 4: .*Did you mean 'steadiness'"):
        read_experiment(path)


def test_who_begins():
    assert [Timing().first(number) for number in range(8)] == [0, 1, 1, 0, 0, 1, 1, 0]
    assert {Timing(order="ABAB").first(number) for number in range(8)} == {0}


def test_the_window_depends_on_the_device():
    assert (Timing().seconds(False), Timing().seconds(True)) == (5.0, 10.0)
    assert Timing(window_seconds=2).seconds(True) == 2.0
