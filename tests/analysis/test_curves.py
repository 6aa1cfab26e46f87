"""Curves over seeds and the distance between two runs' losses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.curves import curve, largest_distance, loss_distance, phase_starts
from harness.records.record import Record
from tests.report.synthetic import payload, series


def record(losses, seed=0):
    return Record(payload(seed=seed), memory_series={"loss": np.asarray(losses, dtype=np.float64)})


def history(seed, losses):
    data = payload(seed=seed, phases=("pretrain",))
    data["phases"][0]["epochs"] = [{"epoch": i + 1, "loss": loss} for i, loss in enumerate(losses)]
    return Record(data, memory_series=series(payload()))


def test_mean_and_band_over_seeds_that_reached_the_epoch():
    found = curve([history(0, [3.0, 2.0, 1.0]), history(1, [5.0, 4.0])], "loss")
    np.testing.assert_array_equal(found.epochs, [1, 2, 3])
    np.testing.assert_array_equal(found.mean, [4, 3, 1])
    np.testing.assert_array_equal(found.low, [3, 2, 1])
    np.testing.assert_array_equal(found.high, [5, 4, 1])
    np.testing.assert_array_equal(found.n, [2, 2, 1])
    np.testing.assert_array_equal(found.seeds[1], [5, 4, np.nan])


def test_an_epoch_without_a_number_is_a_gap():
    found = curve([history(0, [1.0, math.nan]), history(1, [2.0, math.inf])], "loss")
    assert found.n.tolist() == [2, 0]
    assert math.isnan(found.mean[1])
    assert curve([history(0, [1.0])], "accuracy") is None


def test_phases_follow_each_other():
    assert phase_starts([Record(payload())]) == (("pretrain", 1), ("finetune", 3))


def test_distance_is_relative_and_names_the_step():
    found = loss_distance(record([1.0, 2.0, 4.0], 3), record([1.0, 2.5, 4.4], 3))
    assert (found.step, found.seed, found.steps) == (1, 3, 3)
    assert found.relative == pytest.approx(0.2)
    assert found.absolute == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("a", "b", "relative"),
    [
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([1.0, math.nan], [1.0, math.nan], 0.0),
        ([1.0, math.inf], [1.0, math.inf], 0.0),
        ([1.0, math.nan], [1.0, 2.0], math.inf),
        ([1.0, math.inf], [1.0, -math.inf], math.inf),
    ],
)
def test_losses_that_are_not_finite(a, b, relative):
    assert loss_distance(record(a), record(b)).relative == relative


def test_unequal_lengths_are_compared_as_far_as_both_go_and_noted():
    found = largest_distance([(record([1.0, 2.0, 9.0]), record([1.0, 2.0])), (record([]), record([1.0]))])
    assert found.relative == 0.0
    assert found.notes == ("seed 0: 3 steps against 2",)
    assert largest_distance([(record([]), record([1.0]))]) is None
