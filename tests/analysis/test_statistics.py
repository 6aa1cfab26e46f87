"""The statistics against SciPy's own tests, written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis.statistics import (
    correlation,
    equivalence_p_value,
    paired_difference,
    paired_log_ratio,
    unpaired_difference,
)

A = [1520.0, 1490.0, 1555.0, 1503.0]
B = [1010.0, 985.0, 1020.0, 1000.0]


def test_paired_log_ratio_is_scipys_paired_t_on_logs():
    figure = paired_log_ratio(A, B)
    interval = stats.ttest_rel(np.log(A), np.log(B)).confidence_interval(0.95)
    assert figure.value == pytest.approx(stats.gmean(A) / stats.gmean(B), rel=1e-12)
    assert figure.low == pytest.approx(math.exp(interval.low), rel=1e-12)
    assert figure.high == pytest.approx(math.exp(interval.high), rel=1e-12)
    assert (figure.n, figure.unit, figure.confidence) == (4, "ratio", 0.95)
    assert "Student t" in figure.method


def test_the_ratio_turned_round_is_its_inverse():
    there, back = paired_log_ratio(A, B), paired_log_ratio(B, A)
    assert back.value == pytest.approx(1 / there.value)
    assert back.low == pytest.approx(1 / there.high)


def test_paired_difference():
    figure = paired_difference(A, B, "examples/s")
    interval = stats.ttest_rel(A, B).confidence_interval(0.95)
    assert (figure.low, figure.high) == pytest.approx((interval.low, interval.high))
    assert figure.value == pytest.approx(np.mean(A) - np.mean(B))


def test_one_pair_has_no_interval():
    assert (paired_log_ratio([2.0], [1.0]).low, paired_difference([2.0], [1.0], "x").high) == (None, None)
    assert equivalence_p_value([1.0], [1.0], 0.1) is None


def test_equal_differences_have_an_interval_of_no_width():
    figure = paired_difference([0.9, 0.9, 0.9], [0.9, 0.9, 0.9], "difference")
    assert (figure.value, figure.low, figure.high) == (0, 0, 0)
    assert equivalence_p_value([0.9] * 3, [0.9] * 3, 0.005) == 0.0
    assert equivalence_p_value([0.9] * 3, [0.8] * 3, 0.005) == 1.0


def test_equivalence_is_the_ninety_percent_interval_inside_the_margin():
    rng = np.random.default_rng(0)
    both = set()
    for _ in range(50):
        a, b = rng.normal(0.9, 0.002, 5), rng.normal(0.9, 0.002, 5)
        interval = stats.ttest_rel(a, b).confidence_interval(0.90)
        inside = bool(interval.low > -0.002 and interval.high < 0.002)
        assert (equivalence_p_value(a, b, 0.002) < 0.05) == inside
        both.add(inside)
    assert both == {True, False}


def test_welch_and_correlation():
    interval = stats.ttest_ind(A, B, equal_var=False).confidence_interval(0.95)
    figure = unpaired_difference(A, B, "x")
    assert (figure.low, figure.high) == pytest.approx((interval.low, interval.high))
    assert correlation(A, B) == pytest.approx(np.corrcoef(A, B)[0, 1])
    assert correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None


@pytest.mark.parametrize("bad", [[1.0, math.nan], [1.0, 0.0], [1.0, -2.0], [1.0]])
def test_values_without_a_log_ratio_are_refused(bad):
    with pytest.raises(ValueError, match=r"pairs need|log ratio"):
        paired_log_ratio(bad, [1.0, 2.0])
