"""Restricted means against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.survival import common_horizon, restricted_mean, weighted_restricted_means

SECONDS = st.floats(0.1, 100.0)
RUNS = st.lists(st.tuples(SECONDS, st.booleans()), min_size=1, max_size=8)


def arrays(runs):
    return np.array([time for time, _ in runs]), np.array([reached for _, reached in runs])


def test_without_censoring_it_is_the_mean_of_the_restricted_times():
    times, events = np.array([2.0, 4.0, 9.0]), np.array([True] * 3)
    assert restricted_mean(times, events, 9.0) == pytest.approx(5.0)
    assert restricted_mean(times, events, 6.0) == pytest.approx((2 + 4 + 6) / 3)
    assert restricted_mean(times, events, 100.0) == pytest.approx(5.0)


def test_with_censoring_by_hand():
    # Arrivals at 1 and 4, given up at 2 and 5: S is 1 to 1, 3/4 to 4, 3/4 x 1/2 after.
    times, events = np.array([1.0, 2.0, 4.0, 5.0]), np.array([True, False, True, False])
    assert restricted_mean(times, events, 5.0) == pytest.approx(1 + 3 * 0.75 + 1 * 0.375)
    assert restricted_mean(times, events, 3.0) == pytest.approx(1 + 2 * 0.75)
    assert restricted_mean(times, events, 0.5) == pytest.approx(0.5)


def test_an_arrival_comes_before_a_censoring_of_the_same_moment():
    times, events = np.array([2.0, 2.0, 4.0]), np.array([True, False, True])
    assert restricted_mean(times, events, 4.0) == pytest.approx(2 + 2 * (2 / 3))


def test_none_arrived():
    assert restricted_mean(np.array([3.0, 5.0]), np.array([False, False]), 3.0) == 3.0


def test_the_horizon_is_where_both_are_known():
    a, b = np.array([1.0, 7.0]), np.array([2.0, 5.0])
    yes, last_missed = np.array([True, True]), np.array([True, False])
    assert common_horizon(a, yes, b, yes) == 7.0  # both curves end at 0: nothing is unknown
    assert common_horizon(a, yes, b, last_missed) == 5.0
    assert common_horizon(a, last_missed, b, last_missed) == 5.0
    assert common_horizon(a, last_missed, b, yes) == 7.0
    assert common_horizon(np.array([5.0, 5.0]), last_missed, b, yes) == 5.0  # tied with a censored one


@settings(max_examples=60, deadline=None)
@given(RUNS, st.floats(0.05, 120.0), st.integers(0, 2**31))
def test_all_resamples_at_once_are_statsmodels_one_by_one(runs, horizon, seed):
    times, events = arrays(runs)
    drawn = np.random.default_rng(seed).integers(0, len(runs), (3, len(runs)))
    weights = np.array([np.bincount(row, minlength=len(runs)) for row in drawn], dtype=float)
    found = weighted_restricted_means(times, events, weights, horizon)
    expected = [restricted_mean(times[row], events[row], horizon) for row in drawn]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(RUNS, st.floats(0.05, 120.0), st.floats(0.01, 100.0))
def test_it_scales_with_the_clock_and_stays_within_the_horizon(runs, horizon, factor):
    times, events = arrays(runs)
    mean = restricted_mean(times, events, horizon)
    assert min(times.min(), horizon) * (1 - 1e-9) <= mean <= horizon * (1 + 1e-9)
    assert restricted_mean(times * factor, events, horizon * factor) == pytest.approx(mean * factor, rel=1e-9)
    assert mean <= restricted_mean(times, np.zeros(len(times), dtype=bool), horizon) * (1 + 1e-9)
