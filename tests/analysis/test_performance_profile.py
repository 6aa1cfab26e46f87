"""Dolan and More's profile against one worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.analysis.performance_profile import performance_profile

# Costs of 8 cells: a is the best in 4, b in 4 (in one of them a failed), and both are equally good in none.
A = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0, None]
B = [2.0, 2.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0]


def costs(values, blocks=1):
    return [[] if value is None else [value] * blocks for value in values]


def test_the_steps_by_hand():
    profile = performance_profile({"a": costs(A), "b": costs(B)})
    assert profile.factors == pytest.approx((1.0, 2.0, 3.0, 4.0))
    assert profile.lines["a"].share == pytest.approx((4 / 8, 6 / 8, 6 / 8, 7 / 8))
    assert profile.lines["b"].share == pytest.approx((4 / 8, 6 / 8, 1.0, 1.0))
    assert (profile.lines["a"].failed, profile.lines["b"].failed) == (1, 0)
    best = profile.lines["a"].best
    assert (best.value, best.low, best.high, best.n) == (0.5, 0.5, 0.5, 8)


def test_below_eight_cells_there_is_none():
    assert performance_profile({"a": costs(A[:7]), "b": costs(B[:7])}) is None
    assert performance_profile({}) is None


def test_one_that_failed_everywhere_is_never_within_any_factor():
    profile = performance_profile({"a": costs([None] * 8), "b": costs(B)})
    assert set(profile.lines["a"].share) == {0.0}
    assert profile.lines["b"].share == (1.0,)


def test_doubling_every_cost_changes_nothing():
    rng = np.random.default_rng(0)
    made = {name: rng.lognormal(size=(9, 4)) for name in "abc"}
    once = performance_profile({name: values.tolist() for name, values in made.items()})
    twice = performance_profile({name: (2 * values).tolist() for name, values in made.items()})
    assert once.lines["c"].share == pytest.approx(twice.lines["c"].share)
    assert once.lines["c"].low == pytest.approx(twice.lines["c"].low)


def test_shares_rise_to_one_and_the_band_holds_them():
    rng = np.random.default_rng(1)
    made = {name: np.exp(rng.normal(0, 0.3, (10, 1)) + rng.normal(0, 0.1, (10, 6))).tolist() for name in "ab"}
    profile = performance_profile(made)
    for line in profile.lines.values():
        assert np.all(np.diff(line.share) >= 0)
        assert line.share[-1] == 1.0
        assert all(low <= high for low, high in zip(line.low, line.high, strict=True))
    assert any(low < high for line in profile.lines.values() for low, high in zip(line.low, line.high, strict=True))
    assert json.loads(json.dumps(profile.to_data()))["n"] == 10


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cost_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="positive finite"):
        performance_profile({"a": costs([bad] * 8), "b": costs(B)})
    with pytest.raises(ValueError, match="each cell"):
        performance_profile({"a": costs(A), "b": costs(B[:7])})
