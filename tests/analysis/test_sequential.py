"""One setting's blocks at the looks: outcome, sentence, how many more, when to stop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.judgement import Judgement
from harness.analysis.sequential import LOOKS, all_looks, evidence, judge_blocks, next_look
from harness.records import strict_json

NAMES = ("pytorch", "tensorflow")


def judged(logs, measure="samples_per_second", looks=LOOKS, margin=0.03, **options) -> Judgement:
    return judge_blocks(measure, NAMES, np.exp(logs).tolist(), [1.0] * len(logs), margin, looks, **options)


def wave(mean: float, spread: float, n: int) -> list[float]:
    """n log ratios with exactly this mean and, for an even n, this standard deviation."""
    return [mean + spread * math.sqrt((n - 1) / n) * (-1) ** k for k in range(n)]


@pytest.mark.parametrize(("logs", "outcome", "winner", "words"), [
    (wave(0.0, 0.005, 6), "no practical difference", None, "no practical difference (inside 3%): samples_per_second"),
    (wave(0.01, 0.003, 6), "no practical difference", None, "ratio PyTorch/TensorFlow 1.01 (98.3% interval"),
    (wave(0.3, 0.01, 6), "better", "pytorch", "PyTorch faster by at least 3%: samples_per_second ratio"),
    (wave(-0.3, 0.01, 6), "better", "tensorflow", "TensorFlow faster by at least 3%"),
    (wave(0.04, 0.01, 6), "may not matter", "pytorch", "PyTorch faster by 2.59% to 5.59%, may not matter"),
    (wave(-0.04, 0.01, 6), "may not matter", "tensorflow", "TensorFlow faster by 2.59% to 5.59%, may not matter"),
    # The interval excludes the margin, the stricter test of "by at least" does not yet.
    (wave(0.06, 0.015, 6), "may not matter", "pytorch", "PyTorch faster by 3.91% to 8.51%, at least 3% not proven yet"),
    (wave(0.02, 0.06, 6), "not enough evidence", None, "not enough evidence: run"),
])
def test_outcomes(logs, outcome, winner, words):
    found = judged(logs)
    assert (found.outcome, found.winner, found.repeat) == (outcome, winner, "block")
    assert words in found.sentence
    assert "n = 6 blocks, Student t, look 1 of 3" in found.sentence


def test_the_interval_is_scipys_at_the_looks_confidence():
    logs = np.random.default_rng(3).normal(0.05, 0.02, 12)
    figure = judged(logs).figure
    interval = stats.ttest_1samp(logs, 0).confidence_interval(1 - 0.05 / 3)
    assert (figure.low, figure.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert (figure.n, figure.confidence) == (12, pytest.approx(1 - 0.05 / 3))
    assert figure.method == "paired log-ratio of blocks, Student t, 98.3% interval"


def test_p_values_are_scipys():
    logs, edge = np.random.default_rng(4).normal(0.02, 0.02, (5, 12)), math.log1p(0.03)
    found = evidence(logs, edge)
    below = stats.ttest_1samp(logs, edge, axis=1, alternative="less").pvalue
    above = stats.ttest_1samp(logs, -edge, axis=1, alternative="greater").pvalue
    assert found.equivalence == pytest.approx(np.maximum(below, above))
    positive = logs.mean(axis=1) > 0
    assert found.beyond[positive] == pytest.approx(1 - below[positive])
    assert found.direction == pytest.approx(stats.ttest_1samp(logs, 0, axis=1).pvalue)


def test_seconds_and_bytes_are_turned_round():
    assert judged(wave(0.3, 0.01, 6), "latency_p99").winner == "tensorflow"
    assert "TensorFlow quicker to answer by at least 3%: latency_p99 ratio TensorFlow/PyTorch" in judged(
        wave(0.3, 0.01, 6), "latency_p99").sentence


def test_between_looks_the_last_one_stands():
    logs = [*wave(0.04, 0.01, 6), 5.0]
    found = judged(logs)
    assert found.figure.n == 6
    assert found.outcome == "may not matter"
    assert found.sentence.endswith("interim: 7 blocks of the next look at 12; to settle whether by at least 3%, "
                                   "run 89 more blocks")
    assert found.details["blocks"] == 7


def test_before_the_first_look_nothing_is_decided():
    found = judged([0.5, 0.5, 0.5])
    assert (found.outcome, found.winner, found.more) == ("not enough evidence", None, 3)
    assert found.sentence.endswith("interim: 3 blocks of the next look at 6")
    assert judged([0.5]).figure.low is None
    assert judged([0.5]).more == 5


def test_how_many_more_and_how_long():
    found = judged(wave(0.0, 0.03, 6), block_seconds=60)
    assert (found.outcome, found.more) == ("not enough evidence", 6)
    assert "run 6 more blocks (about 0.1 hours)" in found.sentence
    assert found.details["hours"] == pytest.approx(0.1)
    late = judged(wave(0.0, 0.09, 24), block_seconds=60)
    assert late.more == 96 - 24
    assert "run 72 more blocks (about 1.2 hours)" in late.sentence
    assert judged(wave(0.0, 9.0, 24)).more is None
    assert "will hardly decide it" in judged(wave(0.0, 9.0, 24)).sentence
    assert judged(wave(0.3, 0.01, 6)).more is None


def test_further_looks_double_and_say_what_they_cost():
    looks = all_looks(LOOKS)
    assert [next(looks) for _ in range(6)] == [6, 12, 24, 48, 96, 192]
    found = judged(wave(0.02, 0.005, 48), margin=0.01)
    assert found.figure.n == 48
    assert found.figure.confidence == pytest.approx(1 - 0.05 / 3)
    assert "look 4, 3 were planned" in found.sentence
    assert "with 4 looks the probability of a false direction sums to 6.7%" in found.sentence
    assert judged(wave(0.02, 0.005, 40), margin=0.01).figure.n == 24


def test_one_look_has_all_of_alpha():
    found = judged(wave(0.3, 0.01, 4), looks=(4,))
    assert found.figure.confidence == pytest.approx(0.95)
    assert "look 1 of 1" in found.sentence


@pytest.mark.parametrize(("done", "logs", "following"), [
    (0, None, 6), (3, [0.1, 0.2, 0.3], 6), (6, wave(0.0, 0.05, 6), 12), (7, [*wave(0.0, 0.05, 6), 0.0], 12),
    (6, wave(0.0, 0.003, 6), None), (6, wave(0.3, 0.01, 6), None), (6, wave(0.04, 0.01, 6), 12),
    (24, wave(0.0, 0.05, 24), None), (24, wave(0.04, 0.02, 24), None),
])
def test_when_to_stop(done, logs, following):
    assert next_look(done, None if logs is None else judged(logs)) == following


def test_nothing_comparable_stops():
    assert next_look(2, Judgement("samples_per_second", "not comparable", "not comparable: UNFAIR: ...")) is None
    assert next_look(4, None, (2, 4, 8)) == 8


def test_identical_blocks_are_certain():
    assert judged([0.0] * 6).outcome == "no practical difference"
    assert judged([0.5] * 6).outcome == "better"
    # On the very edge of the margin neither side of it is shown, but the direction is.
    on_edge = evidence(np.full(4, 0.5), 0.5)
    assert (on_edge.equivalence, on_edge.beyond, on_edge.direction) == (1.0, 1.0, 0.0)


def test_as_data():
    data = strict_json.loads(strict_json.dumps(judged(wave(0.3, 0.01, 6)).to_data()))
    assert data["details"]["look"] == 1
    assert data["details"]["beyond_margin_p_value"] < 0.005 / 3
    assert len(data["details"]["log_ratios"]) == 6
    assert data["repeat"] == "block"
