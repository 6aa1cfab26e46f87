"""Time to accuracy from records, against values worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.time_to_accuracy import (
    Reach,
    compare_reaches,
    reach,
    reachable_target,
    time_to_accuracy,
)
from harness.records.record import Record

NAMES = ("tensorflow", "pytorch")
METRIC = "val_accuracy"


def record(values, pace=0.1, backend="tensorflow", seed=0, steps=10, first=1.0, opened=0.5, phases=1):
    """Epochs of `steps` steps that take `pace` seconds each, but the first of a phase takes `first`."""
    made, per_phase = [], len(values) // phases
    for number in range(phases):
        epochs, windows = [], []
        for epoch, value in enumerate(values[number * per_phase:(number + 1) * per_phase]):
            start = epoch * steps
            cuts = [(start, start + 1, first, True), (start + 1, start + steps, pace * (steps - 1), False)]
            cuts = cuts if epoch == 0 else [(start, start + steps, pace * steps, False)]
            windows += [{"start": a, "stop": b, "seconds": s, "warmup": w} for a, b, s, w in cuts]
            epochs.append({"epoch": epoch + 1, METRIC: value, "seconds": sum(s for _, _, s, _ in cuts)})
        made.append({"name": f"phase {number}", "epochs": epochs, "windows": windows})
    return Record({"id": f"{backend}{seed}", "status": "done", "cell": {"backend": backend, "seed": seed},
                   "phases": made, "timing": {"open_seconds": opened}})


def test_the_first_evaluation_that_shows_it_and_its_factors():
    found = reach(record([0.5, 0.7, 0.9, 0.8]), METRIC, 0.7)
    # Opening 0.5, first step 1.0, 19 further ones of 0.1; the start-up is the opening and 0.9 of the first step.
    assert found.reached
    assert found.seconds == pytest.approx(3.4)
    assert (found.steps, found.step_seconds) == (20, pytest.approx(0.1))
    assert found.start_up_seconds == pytest.approx(1.4)
    assert found.steps * found.step_seconds + found.start_up_seconds == pytest.approx(found.seconds)


def test_nothing_is_interpolated_and_a_dip_afterwards_does_not_count():
    times = [reach(record([0.5, 0.7, 0.9, 0.1]), METRIC, target).seconds for target in (0.5, 0.51, 0.69, 0.7, 0.71)]
    assert times == pytest.approx([2.4, 3.4, 3.4, 3.4, 4.4])


def test_a_run_that_misses_is_censored_at_its_end_or_at_the_budget():
    missed = record([0.5, 0.7, 0.9])
    assert reach(missed, METRIC, 0.95) == Reach(False, pytest.approx(4.4))
    assert reach(missed, METRIC, 0.9, budget=4.0) == Reach(False, 4.0)
    assert reach(missed, METRIC, 0.9, budget=4.5).reached
    assert reach(missed, METRIC, 0.95, budget=60.0) == Reach(False, pytest.approx(4.4))


def test_less_is_better_and_values_that_are_none_reach_nothing():
    assert reach(record([2.0, 1.0, 0.5]), METRIC, 1.0, more_is_better=False).steps == 20
    assert reach(record([None, math.nan, 0.9]), METRIC, 0.8).steps == 30
    assert not reach(record([0.9]), "val_loss", 0.1).reached


def test_phases_are_counted_through():
    found = reach(record([0.1, 0.2, 0.3, 0.9], phases=2), METRIC, 0.9)
    assert found.steps == 40
    assert found.seconds == pytest.approx(0.5 + 2 * 1.0 + 38 * 0.1)
    assert found.start_up_seconds == pytest.approx(0.5 + 2 * 0.9)


def test_without_a_steady_window_the_factors_are_not_known():
    assert reach(record([0.9], steps=1), METRIC, 0.5) == Reach(True, pytest.approx(1.5), 1)
    bare = record([0.9, 0.9])
    bare.phases[0]["windows"] = []
    assert reach(bare, METRIC, 0.5) == Reach(True, pytest.approx(2.4))


def test_two_backends_without_censoring_by_hand():
    # TensorFlow arrives at 3.4 and 4.4, PyTorch (half the pace) at 2.45 and 2.95.
    values = ([0.5, 0.8, 0.9], [0.5, 0.6, 0.8])
    pairs = [(record(line, 0.1, "tensorflow", seed), record(line, 0.05, "pytorch", seed))
             for seed, line in enumerate(values)]
    found = time_to_accuracy(pairs, METRIC, 0.75)
    first, second = found.arrivals["tensorflow"], found.arrivals["pytorch"]
    assert first.mean.value == pytest.approx((3.4 + 4.4) / 2)
    assert second.mean.value == pytest.approx((2.45 + 2.95) / 2)
    assert found.horizon == pytest.approx(4.4)
    assert found.difference.value == pytest.approx(3.9 - 2.7)
    assert found.ratio.value == pytest.approx(3.9 / 2.7)
    assert found.log_ratios == pytest.approx((math.log(3.4 / 2.45), math.log(4.4 / 2.95)))
    assert first.curve == ((pytest.approx(3.4), 0.5, 2), (pytest.approx(4.4), 1.0, 1))
    assert (first.share.value, first.steps.value, second.step_seconds.value) == (1.0, 25, pytest.approx(0.05))
    assert (found.ratio.n, found.difference.unit, found.cautions) == (2, "s", ())
    assert json.loads(json.dumps(found.to_data()))["arrivals"]["pytorch"]["share"]["value"] == 1.0


def test_two_backends_with_censoring_by_hand():
    reaches = [(Reach(True, 2.0), Reach(True, 1.0)), (Reach(False, 3.0), Reach(True, 2.0)),
               (Reach(True, 5.0), Reach(True, 8.0)), (Reach(False, 6.0), Reach(True, 4.0))]
    found = compare_reaches(reaches, NAMES, METRIC, 0.9)
    # S of the first: 1 to 2, 3/4 to 5, 3/8 to 6, where its last run was given up; the second: 1, 3/4, 1/2, 1/4.
    assert found.horizon == 6.0
    assert found.arrivals["tensorflow"].mean.value == pytest.approx(2 + 3 * 0.75 + 0.375)
    assert found.arrivals["pytorch"].mean.value == pytest.approx(1 + 0.75 + 2 * 0.5 + 2 * 0.25)
    assert found.difference.value == pytest.approx(4.625 - 3.25)
    assert found.arrivals["tensorflow"].share.value == 0.5
    assert found.log_ratios is None
    assert found.cautions == ("tensorflow missed the target in 2 of 4 runs: their time counts only up to the horizon",)
    for figure in (found.difference, found.ratio, *(arrival.mean for arrival in found.arrivals.values())):
        assert figure.low < figure.value < figure.high
        assert "bootstrap of pairs" in figure.method
    assert found.arrivals["tensorflow"].mean.high <= found.horizon


def test_all_at_once_and_none_at_all():
    same = compare_reaches([(Reach(True, 7.0), Reach(True, 7.0))] * 5, NAMES, METRIC, 0.9)
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    assert (same.ratio.value, same.ratio.low, same.ratio.high) == (1, 1, 1)
    none = compare_reaches([(Reach(False, 7.0), Reach(False, 5.0))] * 5, NAMES, METRIC, 0.9)
    assert [arrival.mean.value for arrival in none.arrivals.values()] == [5.0, 5.0]
    assert none.log_ratios is None
    assert "no run reached the target" in none.cautions[-1]


@pytest.mark.parametrize(("factor", "low", "high"), [(1.0, 0.985, 1.015), (0.8, 0.788, 0.812), (1.25, 1.23, 1.27)])
def test_the_ratio_of_ten_pairs_that_differ_by_a_hundredth(factor, low, high):
    rng = np.random.default_rng(2)
    base, noise = rng.uniform(5, 9, 10), np.exp(rng.normal(0, 0.01, 10))
    reaches = [(Reach(True, factor * t * e), Reach(True, t)) for t, e in zip(base, noise, strict=True)]
    ratio = compare_reaches(reaches, NAMES, METRIC, 0.9).ratio
    assert ratio.value == pytest.approx(factor * np.sum(base * noise) / np.sum(base))
    assert low < ratio.low < ratio.value < ratio.high < high


def test_pairing_tells_what_the_spread_over_seeds_would_hide():
    base = np.random.default_rng(4).uniform(5, 50, 10)
    paired = compare_reaches([(Reach(True, 1.1 * t), Reach(True, t)) for t in base], NAMES, METRIC, 0.9)
    assert paired.ratio.low == pytest.approx(1.1)
    mixed = compare_reaches([(Reach(True, 1.1 * t), Reach(True, u)) for t, u in zip(base, base[::-1], strict=True)],
                            NAMES, METRIC, 0.9)
    assert mixed.ratio.value == pytest.approx(1.1)
    assert mixed.ratio.low < 1 < mixed.ratio.high


def test_the_interval_of_the_difference_covers_and_is_as_wide_as_students():
    hits, widths = 0, []
    for run in range(60):
        rng = np.random.default_rng(run)
        seeds = rng.normal(20, 3, 6)
        a, b = seeds + rng.normal(0, 1, 6), seeds - 2 + rng.normal(0, 1, 6)
        found = compare_reaches([(Reach(True, x), Reach(True, y)) for x, y in zip(a, b, strict=True)], NAMES, METRIC, 1)
        hits += found.difference.low <= 2 <= found.difference.high
        student = stats.ttest_rel(a, b).confidence_interval(0.95)
        widths.append((found.difference.high - found.difference.low) / (student.high - student.low))
    assert hits >= 52  # binomial(60, 0.95) is below that in 1.1%
    assert np.mean(widths) == pytest.approx(1.0, abs=0.01)


def test_one_pair_has_no_interval_and_none_is_refused():
    found = compare_reaches([(Reach(True, 2.0), Reach(True, 1.0))], NAMES, METRIC, 0.9)
    assert (found.ratio.value, found.ratio.low, found.difference.high) == (2.0, None, None)
    with pytest.raises(ValueError, match="at least one pair"):
        time_to_accuracy([], METRIC, 0.9)


def test_the_hardest_target_that_all_reached():
    pairs = [(record([0.5, 0.9, 0.8]), record([0.6, 0.85, 0.7])), (record([0.7, 0.95]), record([0.88, None]))]
    assert reachable_target(pairs, METRIC) == 0.85
    assert reachable_target(pairs, METRIC, more_is_better=False) == 0.88
    assert reachable_target(pairs, "val_loss") is None
    assert all(arrival.share.value == 1 for arrival in time_to_accuracy(pairs, METRIC, 0.85).arrivals.values())


SECONDS = st.floats(0.5, 50)
TIMES = st.lists(st.tuples(SECONDS, st.booleans(), SECONDS, st.booleans()), min_size=2, max_size=7)


@settings(max_examples=25, deadline=None)
@given(TIMES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_seconds_scale_and_names_mirror(runs, factor):
    def compared(scale, order):
        pairs = [(Reach(x, a * scale), Reach(y, b * scale)) for a, x, b, y in runs]
        return compare_reaches([pair[::order] for pair in pairs], NAMES[::order], METRIC, 0.9)

    once, scaled, mirrored = compared(1.0, 1), compared(factor, 1), compared(1.0, -1)
    assert scaled.ratio.value == pytest.approx(once.ratio.value)
    assert scaled.ratio.high == pytest.approx(once.ratio.high)
    assert scaled.difference.low == pytest.approx(once.difference.low * factor, abs=1e-9 * factor)
    assert mirrored.ratio.value == pytest.approx(1 / once.ratio.value)
    assert mirrored.ratio.low == pytest.approx(1 / once.ratio.high, rel=1e-6)
    assert once.difference.low <= once.difference.value + 1e-9
    assert all(0 < arrival.mean.value <= once.horizon * (1 + 1e-12) for arrival in once.arrivals.values())
