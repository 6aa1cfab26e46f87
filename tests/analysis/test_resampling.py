"""Intervals by resampling: as wide as they should be, also for few values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.resampling import freedom, percentile_interval, resampled_means


def test_the_resamples_have_the_mean_and_the_unbiased_spread():
    values = [1.0, 2.0, 4.0, 9.0]
    drawn = resampled_means([values, [3.0, 3.0], [5.0]], 40_000, 0)
    assert drawn.shape == (40_000, 3)
    assert drawn[:, 0].mean() == pytest.approx(4.0, abs=0.03)
    assert drawn[:, 0].std() == pytest.approx(np.std(values, ddof=1) / 2, rel=0.02)
    assert np.all(drawn[:, 1:] == [3.0, 5.0])


def test_it_is_seeded():
    groups = [[1.0, 2.0, 4.0]]
    assert np.array_equal(resampled_means(groups, 50, 1), resampled_means(groups, 50, 1))
    assert not np.array_equal(resampled_means(groups, 50, 1), resampled_means(groups, 50, 2))


def test_freedom_is_welchs_for_two_groups():
    from scipy import stats

    a, b = [1.0, 2.0, 4.0], [2.0, 5.0, 9.0, 1.0]
    assert freedom([a, b]) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).df)
    assert freedom([a]) == pytest.approx(2)
    assert freedom([[1.0, 1.0], [2.0]]) == math.inf


def test_percentiles_are_plain_where_there_is_much_freedom_and_wider_where_there_is_little():
    values = np.linspace(0, 1, 10_001)
    assert percentile_interval(values, 0.95, math.inf) == pytest.approx((0.025, 0.975), abs=1e-6)
    low, high = percentile_interval(values, 0.95, 5)
    assert low == pytest.approx(0.00507, abs=1e-4)  # the normal's tail beyond Student's 2.5706
    assert high == pytest.approx(1 - low)


@pytest.mark.parametrize(("cells", "blocks", "least"), [(1, 6, 0.89), (4, 6, 0.92), (3, 12, 0.92)])
def test_ninety_five_percent_intervals_cover(cells, blocks, least):
    rng, hits = np.random.default_rng(3), 0
    for run in range(300):
        groups = rng.normal(0.0, rng.uniform(0.5, 2.0, (cells, 1)), (cells, blocks)).tolist()
        low, high = percentile_interval(resampled_means(groups, 1000, run).mean(axis=1), 0.95, freedom(groups))
        hits += low <= 0 <= high
    assert least <= hits / 300 <= 0.99


def test_an_empty_group_is_refused():
    with pytest.raises(ValueError, match="empty group"):
        resampled_means([[]], 5, 0)
