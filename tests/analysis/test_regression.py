"""Two sets of results: what is matched, what is shown to differ, and what a gate makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from harness.analysis.regression import Regression, compare_results, judge_change
from harness.analysis.regression_gates import Condition, Gate, judge_gates, parse_condition
from harness.analysis.regression_matching import Side, match_settings, nearest
from harness.analysis.regression_ratio import unpaired_log_ratio
from harness.errors import SpecError
from harness.records.blocks import Block
from harness.records.record import Record
from tests.report.synthetic import block, fail, payload, series


def record(seed: int = 0, noise: float = 0.0, **options: Any) -> Record:
    data = payload(seed=seed, **options)
    return Record(data, memory_series=series(data, noise))


def side(
    name: str, speed: float = 1500.0, seeds: int = 5, blocks: int = 6, spread: float = 0.01, **options: Any,
) -> Side:
    """Both backends over some seeds; PyTorch at that speed, its halves up and down by `spread`."""
    noise = options.pop("noise", 0.0)
    records = [record(seed, noise, backend=backend, **options) for seed in range(seeds)
               for backend in ("tensorflow", "pytorch")]
    timed = [block(payload(**options), number, {"tensorflow": 1000.0, "pytorch": speed * math.exp(
        spread * math.cos(number))}) for number in range(blocks)]
    return Side(name, records, {timed[0]["setting"]: [Block(item) for item in timed]} if timed else {})


def gates(found: Regression, *conditions: str) -> list[Gate]:
    return judge_gates(found, [parse_condition(text) for text in conditions])


def outcomes(found: Regression, measure: str) -> dict[str, str]:
    return {row.backend: row.outcome for row in found.rows if row.measure == measure}


def test_the_ratio_of_two_samples_and_its_interval_cover_the_truth():
    chance, hits = np.random.default_rng(0), 0
    for _ in range(250):
        a, b = np.exp(chance.normal(0, 0.02, 6)), np.exp(chance.normal(math.log(0.9), 0.05, 9))
        found = unpaired_log_ratio(b, a)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.9 <= found.high
    assert 0.91 <= hits / 250 <= 0.985
    exact = unpaired_log_ratio([4.0, 9.0], [6.0, 6.0])
    assert exact.value == pytest.approx(1.0)
    assert exact.n == 2
    assert unpaired_log_ratio([3.0], [2.0, 2.0]).low is None
    assert unpaired_log_ratio([3.0, 3.0], [2.0, 2.0]).low == pytest.approx(1.5)
    for bad in ([], [0.0, 1.0], [math.nan, 1.0]):
        with pytest.raises(ValueError, match="positive"):
            unpaired_log_ratio(bad, [1.0])


@pytest.mark.parametrize(("b", "upward", "outcome", "ahead"), [
    ([1.2, 1.21], True, "better", "b"), ([1.2, 1.21], False, "worse", "a"), ([0.8, 0.81], True, "worse", "a"),
    ([1.001, 1.00101], True, "no practical difference", "b"),
    ([0.999, 1.001], True, "no practical difference", None),
    ([0.9, 1.1], True, "not enough evidence", None),
    ([1.03, 1.031], True, "may not matter", "b"), ([1.2], True, "not enough evidence", None)])
def test_what_an_interval_shows(b: Sequence[float], upward: bool, outcome: str, ahead: str | None):
    change = unpaired_log_ratio(b, [1.0, 1.002] if b[0] == 1.03 else [1.0, 1.0])
    assert judge_change(change, upward, 0.03) == (outcome, ahead)


def test_a_slower_backend_is_named_and_the_other_is_not():
    found = compare_results(side("a"), side("b", speed=1300.0))
    assert outcomes(found, "samples_per_second") == {
        "pytorch": "worse", "tensorflow": "no practical difference", "pytorch/tensorflow": "changed"}
    assert set(outcomes(found, "test_accuracy").values()) == {"same to the bit"}
    assert all(item.exact for item in found.same)
    slower, accurate, expression = gates(found, "slower", "less-accurate", "samples_per_second<0.8")
    assert slower.outcome == "failed"
    assert len(slower.why) == 1
    assert slower.why[0].startswith("mlp, digits, pytorch: samples_per_second 0.86")
    assert (accurate.outcome, expression.outcome) == ("passed", "passed")
    assert gates(compare_results(side("b", speed=1300.0), side("a")), "slower")[0].outcome == "passed"


def test_the_whole_interval_has_to_lie_beyond_the_bound():
    near = compare_results(side("a"), side("b", speed=1500 * 0.955))
    assert [gate.outcome for gate in gates(near, "samples_per_second<0.95")] == ["passed"]
    wide = compare_results(side("a", spread=0.2), side("b", speed=1300.0, spread=0.2))
    assert [gate.outcome for gate in gates(wide, "slower")] == ["passed"]
    assert outcomes(wide, "samples_per_second")["pytorch"] == "not enough evidence"


def test_the_intervals_of_many_checks_share_one_error():
    found = compare_results(side("a"), side("b"))
    one, = gates(found, "slower")
    both = gates(found, "slower", "less-accurate")
    assert one.judged == 2
    assert one.confidence == pytest.approx(1 - 0.05 / 2)
    assert {gate.confidence for gate in both} == {1 - 0.05 / 4}


@pytest.mark.sweep
def test_an_unchanged_set_seldom_fails_a_gate_over_many_cells():
    chance, alarms = np.random.default_rng(1), 0
    for _ in range(60):
        sides = []
        for name in "ab":
            timed = [block(payload(model=f"m{model}"), number, {
                "tensorflow": 1000.0 * math.exp(chance.normal(0, 0.03)),
                "pytorch": 1500.0 * math.exp(chance.normal(0, 0.03))}) for model in range(5) for number in range(6)]
            grouped: dict[str, list[Block]] = {}
            for item in timed:
                grouped.setdefault(item["setting"], []).append(Block(item))
            sides.append(Side(name, [], grouped))
        alarms += gates(compare_results(*sides), "samples_per_second<1")[0].outcome == "failed"
    assert alarms <= 6  # at most 2.5% each, were every bound the truth itself


def test_accuracy_is_paired_by_seed_and_judged_by_its_margin():
    worse = compare_results(side("a", accuracy=0.9), side("b", accuracy=0.88))
    assert set(outcomes(worse, "test_accuracy").values()) == {"worse"}
    assert [gate.outcome for gate in gates(worse, "less-accurate", "different", "test_accuracy<-0.03")] == [
        "failed", "failed", "passed"]
    better = compare_results(side("a", accuracy=0.88), side("b", accuracy=0.9))
    assert [gate.outcome for gate in gates(better, "less-accurate", "different")] == ["passed", "failed"]
    near = compare_results(side("a", accuracy=0.9), side("b", accuracy=0.898))
    assert set(outcomes(near, "test_accuracy").values()) == {"no practical difference"}
    few = compare_results(side("a", seeds=1, accuracy=0.9), side("b", seeds=1, accuracy=0.8))
    gate, = gates(few, "less-accurate")
    assert gate.outcome == "cannot be said"
    assert "1 value a side give no interval" in gate.why[0]
    same = compare_results(side("a", seeds=1), side("b", seeds=1))
    assert gates(same, "less-accurate")[0].outcome == "passed"


def test_a_loss_is_judged_as_a_share():
    sides = [side(name) for name in "ab"]
    for item in sides[1].records:
        item.data["test"]["loss"] *= 1.05
    found = compare_results(*sides, ["test_loss"])
    assert set(outcomes(found, "test_loss").values()) == {"worse"}
    assert [gate.outcome for gate in gates(found, "test_loss>0.03", "test_loss>0.06", "test_loss>3%")] == [
        "failed", "passed", "failed"]


def test_whole_trainings_stand_in_where_one_set_has_no_blocks():
    found = compare_results(side("a"), side("b", blocks=0))
    assert {row.source for row in found.rows if row.measure == "samples_per_second"} == {"whole trainings"}


@pytest.mark.parametrize(("change", "said"), [
    ({"data": {"fingerprint": "other"}}, "the data of seed 0 differ"),
    ({"plan": {"digest": "other"}}, "the plans of seed 0 differ")])
def test_other_data_or_another_plan_is_different(change: dict[str, Any], said: str):
    a, b = side("a", seeds=1), side("b", seeds=1)
    for item in b.records:
        item.data.update(change)
    found = compare_results(a, b)
    assert {item.problems for item in found.same} == {(said,)}
    gate, = gates(found, "different")
    assert gate.outcome == "failed"
    assert said in gate.why[0]


def test_rounding_is_the_same_and_another_first_loss_is_not():
    rounded = compare_results(side("a"), side("b", noise=1e-6))
    assert not any(item.exact or item.problems for item in rounded.same)
    assert gates(rounded, "different")[0].outcome == "passed"
    other = compare_results(side("a"), side("b", noise=1e-3))
    assert "more than the rounding of one pass" in other.same[0].sentence
    assert gates(other, "different")[0].outcome == "failed"


def test_what_failed_and_what_is_missing():
    a, b = side("a", seeds=2), side("b", seeds=2)
    broken = Record(fail(payload(backend="pytorch", seed=1)))
    kept = [item for item in b.records if (item.backend, item.seed) != ("pytorch", 1)]
    without = Side("b", [*kept, broken], b.blocks)
    found = compare_results(a, without)
    assert found.failed == ["mlp, digits, pytorch, seed 1: nan_loss: the loss is NaN"]
    only = Side("b", [item for item in b.records if item.backend == "pytorch"], {})
    assert compare_results(a, only).missing == ["mlp, digits, tensorflow"]
    other = Side("b", [*b.records, record(model="cnn")], b.blocks)
    assert compare_results(other, a).missing == ["cnn, digits"]
    assert compare_results(a, other).added == ["cnn, digits"]
    assert [gate.outcome for gate in gates(found, "failed", "missing")] == ["failed", "passed"]


def test_cells_are_matched_by_what_is_run_and_across_what_may_differ():
    a, b = side("a", seeds=2, blocks=0), side("b", seeds=2, blocks=0)
    for item in b.records:
        item.cell["execution"]["threads"] = 8
        item.cell["labels"]["threads"] = "8"
    assert match_settings(a, b).found == []
    assert nearest(a, b) == ["execution.threads"]
    for path in ("threads", "execution.threads", "execution"):
        assert len(match_settings(a, b, (path,)).found) == 1
    twice = Side("b", [*b.records, *side("c", seeds=1, blocks=0).records], {})
    with pytest.raises(SpecError, match="held against one cell"):
        match_settings(a, twice, ("threads",))
    with pytest.raises(SpecError, match="Did you mean 'threads'"):
        match_settings(a, b, ("thread",))
    with pytest.raises(SpecError, match="harness which"):
        match_settings(a, b, ("backend",))


def test_the_words_of_an_experiment_are_no_part_of_what_is_run():
    a, b = side("a", labels={"variant": "old words"}), side("b", labels={"variant": "new words"})
    assert len(compare_results(a, b).same) == 2
    both = Side("b", [*b.records, *side("c", labels={"variant": "third"}).records], {})
    assert match_settings(a, both).found == []  # two settings that only words tell apart


def test_versions_and_machines_that_differ_are_named():
    a = side("a", environment={"versions": {"torch": "2.12.0", "numpy": "2.0"}})
    b = side("b", environment={"versions": {"torch": "2.13.0", "numpy": "2.0"}, "machine": "x86_64-other"})
    found = compare_results(a, b)
    assert found.differences == ["machine x86_64-test-2c -> x86_64-other", "torch 2.12.0 -> 2.13.0"]
    assert any("the machines are not the same" in text for text in found.cautions)


@pytest.mark.parametrize(("text", "condition"), [
    ("slower", Condition("slower")), ("samples_per_second<0.95", Condition("", "samples_per_second", True, 0.95)),
    (" peak_bytes > 1.1 ", Condition("", "peak_bytes", False, 1.1)),
    ("test_accuracy<-0.5%", Condition("", "test_accuracy", True, -0.005)), ("a>1e-3", Condition("", "a", False, 1e-3))])
def test_conditions_are_read(text: str, condition: Condition):
    found = parse_condition(text)
    assert (found.measure, found.below) == (condition.measure, condition.below)
    assert found.bound == condition.bound or not condition.measure


@pytest.mark.parametrize("text", [
    "slowr", "", "samples_per_second", "x<", "x<fast", "x<1.2.3", "x=3", "<3", "x<1; y<2"])
def test_other_conditions_are_refused(text: str):
    with pytest.raises(SpecError, match="--fail-on"):
        parse_condition(text)


def test_a_ratio_is_never_below_nothing_and_a_measure_has_to_be_there():
    found = compare_results(side("a"), side("b"))
    with pytest.raises(SpecError, match=r"never -0\.05"):
        gates(found, "samples_per_second<-0.05")
    with pytest.raises(SpecError, match="Did you mean 'latency_p99'"):
        compare_results(side("a"), side("b"), ["latency_p9"])
    gate, = gates(compare_results(side("a"), side("b"), ["tokens_per_second"]), "tokens_per_second<0.9")
    assert gate.outcome == "cannot be said"
    assert gate.why == ["no cell has it in both sets"]
