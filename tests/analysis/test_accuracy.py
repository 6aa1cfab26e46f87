"""Accuracy over paired seeds: judged at the looks, against SciPy, and right as often as promised."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis import accuracy
from harness.analysis.accuracy import decision_power, judge_seeds, pair_correlation, pairing_gain, seeds_needed
from harness.analysis.judgement import OUTCOMES
from harness.analysis.seed_looks import ALPHA, LOOKS


def seeds(mean, spread=0.001, n=5, seed=0, level=0.9, between=0.01):
    """(a, b): b varies over seeds, a - b has exactly this mean and spread."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n)
    noise = mean + spread * (noise - noise.mean()) / noise.std(ddof=1)
    b = level + rng.normal(0, between, n)
    return (b + noise).tolist(), b.tolist()


@pytest.mark.parametrize(("mean", "spread", "outcome", "ahead"), [
    (0.0, 0.001, "no practical difference", None), (0.002, 0.0005, "no practical difference", None),
    (0.02, 0.003, "better", 0), (-0.02, 0.003, "better", 1), (0.006, 0.002, "may not matter", 0),
    (0.001, 0.01, "not enough evidence", None)])
def test_outcomes_at_the_first_look(mean, spread, outcome, ahead):
    found = judge_seeds(*seeds(mean, spread), 0.005, False)
    assert (found.outcome, found.ahead) == (outcome, ahead)
    assert (found.n, found.used, found.look, found.next_look) == (5, 5, 1, 10)
    assert found.outcome in OUTCOMES
    assert (found.need is not None) == (outcome == "not enough evidence")
    assert json.loads(json.dumps(found.to_data()))["difference"]["n"] == 5


def test_every_look_has_a_third_of_the_error():
    a, b = seeds(0.003, 0.002)
    found = judge_seeds(a, b, 0.005, False)
    interval = stats.ttest_rel(a, b).confidence_interval(1 - 0.05 / 3)
    assert (found.difference.low, found.difference.high) == pytest.approx((interval.low, interval.high))
    lower = stats.ttest_1samp(np.subtract(a, b), 0.005, alternative="less").pvalue
    assert found.equivalence_p_value == pytest.approx(lower)
    assert lower > 0.05 / 3
    assert found.alpha == pytest.approx(ALPHA / 3)


def test_before_the_first_look_nothing_is_said():
    found = judge_seeds(*seeds(0.0, 0.0001, n=4), 0.005, False)
    assert found.outcome == "not enough evidence"
    assert (found.look, found.used, found.next_look, found.need.seeds) == (0, 4, 5, 1)
    one = judge_seeds([0.9], [0.9], 0.005, False)
    assert (one.need.seeds, one.difference.low, one.correlation) == (4, None, None)
    assert math.isnan(one.need.power)


def test_between_looks_the_last_one_stands():
    a, b = seeds(0.0, 0.001, n=10)
    early = judge_seeds(a[:5], b[:5], 0.005, False)
    between = judge_seeds([*a[:5], 0.5, 0.5, 0.5], [*b[:5], 0.9, 0.9, 0.9], 0.005, False)
    assert (between.outcome, between.difference) == (early.outcome, early.difference)
    assert (between.n, between.used, between.look, between.next_look) == (8, 5, 1, 10)


def test_beyond_the_last_look_they_double():
    found = judge_seeds(*seeds(0.0, 0.02, n=41), 0.005, False)
    assert (found.used, found.look, found.next_look) == (40, 4, 80)


def test_a_loss_is_judged_relative_and_less_is_better():
    a, b = seeds(0.02, 0.002, level=1.0, between=0.001)
    found = judge_seeds([100 * x for x in a], [100 * x for x in b], 0.01, True)
    assert (found.outcome, found.ahead) == ("better", 1)
    assert found.difference.value == pytest.approx(0.02 / 1.01, rel=0.01)
    assert judge_seeds(a, b, 0.01, True, more_is_better=True).ahead == 0
    assert judge_seeds([0.0] * 5, [0.0] * 5, 0.01, True).outcome == "no practical difference"


def test_swapped_sides_mirror():
    a, b = seeds(0.006, 0.002)
    there, back = judge_seeds(a, b, 0.005, False), judge_seeds(b, a, 0.005, False)
    assert (there.outcome, there.ahead, back.ahead) == (back.outcome, 0, 1)
    assert there.difference.low == pytest.approx(-back.difference.high)


def test_what_pairing_gains():
    a, b = seeds(0.0, 0.001, n=20, between=0.02)
    found = judge_seeds(a, b, 0.005, False)
    assert found.correlation.value > 0.99
    assert found.correlation.low < found.correlation.value < found.correlation.high
    assert found.gain == pytest.approx((np.var(a, ddof=1) + np.var(b, ddof=1)) / 0.001**2)
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval(1 - 0.05 / 3)
    assert (found.unpaired.low, found.unpaired.high) == pytest.approx((welch.low, welch.high))
    assert found.unpaired.high - found.unpaired.low > 10 * (found.difference.high - found.difference.low)
    assert pairing_gain([0.9, 0.8], [0.8, 0.7]) is not None
    assert pairing_gain([0.9, 0.9], [0.9, 0.9]) is None


def test_correlation_by_scipy_and_without_spread():
    a, b = [0.1, 0.4, 0.2, 0.9], [0.2, 0.3, 0.4, 0.8]
    figure, expected = pair_correlation(a, b), stats.pearsonr(a, b)
    assert figure.value == pytest.approx(expected.statistic)
    assert (figure.low, figure.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert pair_correlation(a[:3], b[:3]).low is None
    assert pair_correlation([0.9] * 4, b) is None
    assert pair_correlation(a, a).low == pytest.approx(1.0)


@pytest.mark.parametrize(("mean", "spread", "n"), [
    (0.0, 0.002, 5), (0.001, 0.004, 10), (0.01, 0.006, 5), (0.0, 0.003, 10)])
def test_the_power_is_what_simulations_find(mean, spread, n):
    alpha = ALPHA / len(LOOKS)
    values = np.random.default_rng(7).normal(mean, spread, (20_000, n))
    error = values.std(axis=1, ddof=1) / math.sqrt(n)
    edge = stats.t.isf(alpha, n - 1)
    inside = (values.mean(axis=1) + 0.005 > edge * error) & (values.mean(axis=1) - 0.005 < -edge * error)
    apart = np.abs(values.mean(axis=1)) > stats.t.isf(alpha / 2, n - 1) * error
    assert decision_power(mean, spread, n, 0.005, alpha) == pytest.approx(max(inside.mean(), apart.mean()), abs=0.015)


def test_seeds_needed_is_the_first_look_that_probably_decides():
    differences = np.subtract(*seeds(0.0005, 0.004))
    need = seeds_needed(differences, 0.005)
    powers = {look: decision_power(0.0005, 0.004, look, 0.005, ALPHA / 3) for look in (10, 20)}
    assert powers[10] < 0.8 <= powers[20]
    assert (need.seeds, need.power) == (15, pytest.approx(powers[20]))
    assert seeds_needed(differences, 0.005, n=12).seeds == 8
    hopeless = seeds_needed(np.subtract(*seeds(0.0, 1.0)), 0.005)
    assert hopeless.seeds is None
    assert hopeless.power < 0.8
    assert seeds_needed(np.zeros(6), 0.005).seeds == 4


@pytest.mark.parametrize(("mean", "wrong"), [
    (0.0, ("better", "may not matter")), (0.005, ("no practical difference",))])
def test_looking_three_times_errs_in_at_most_five_of_a_hundred(mean, wrong, monkeypatch):
    for name in ("seeds_needed", "pair_correlation", "unpaired_difference"):  # not asked for here, and slow
        monkeypatch.setattr(accuracy, name, lambda *arguments: None)
    rng, runs, errors = np.random.default_rng(9), 250, 0
    for _ in range(runs):
        b = rng.normal(0.9, 0.01, 20)
        a = b + rng.normal(mean, 0.006, 20)
        errors += any(judge_seeds(a[:n], b[:n], 0.005, False).outcome in wrong for n in LOOKS)
    assert errors / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("bad", [([], []), ([0.9, math.nan], [0.9, 0.9]), ([0.9], [0.9, 0.9])])
def test_values_that_are_no_pairs_are_refused(bad):
    with pytest.raises(ValueError, match="pairs need"):
        judge_seeds(*bad, 0.005, False)


@pytest.mark.parametrize("spread", [0.0, 1e-17, 1e-9])
def test_without_spread_the_next_look_decides(spread):
    assert decision_power(0.4, spread, 5, 0.03, ALPHA / 3) == 1.0
    assert seeds_needed(np.array([0.4, 0.4 + spread]), 0.03).seeds == 3
