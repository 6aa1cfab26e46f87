"""Ratios of times: the geometric mean, and an interval that covers as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.ratios import ratio


def test_ratio_is_the_geometric_mean() -> None:
    found = ratio([2.0, 8.0], [1.0, 1.0])
    assert found.value == pytest.approx(4.0)
    assert found.rounds == 2
    assert found.low < 4.0 < found.high


def test_a_slow_spell_of_the_machine_cancels_within_a_round() -> None:
    spell = np.array([1.0, 1.0, 5.0, 1.0, 3.0, 1.0])
    found = ratio(list(1.5 * spell), list(spell))
    assert found.value == pytest.approx(1.5)
    assert found.low == pytest.approx(1.5)
    assert found.high == pytest.approx(1.5)


def test_interval_covers_the_true_ratio() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        other = np.exp(math.log(1.2) + rng.normal(0, 0.05, 12))
        found = ratio(list(other), [1.0] * 12)
        covered += found.low <= 1.2 <= found.high
    assert 183 <= covered <= 199  # 95% of 200, give or take three standard deviations


def test_one_round_has_no_interval() -> None:
    found = ratio([3.0], [2.0])
    assert found.low is None
    assert str(found) == "1.50 [one round]"


@pytest.mark.parametrize(("other", "own"), [([1.0], [1.0, 1.0]), ([], []), ([0.0], [1.0])])
def test_times_that_cannot_be_compared(other: list[float], own: list[float]) -> None:
    with pytest.raises(ValueError):
        ratio(other, own)
