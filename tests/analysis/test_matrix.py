"""The verdict over the matrix: Holm by hand, counts that hide nothing, and how often it errs."""

from __future__ import annotations

import gc
import json
import math

import numpy as np
import pytest

from harness.analysis import matrix
from harness.analysis.matrix import Entry, judge_together, summarise
from harness.analysis.sequential import BEYOND, DIRECTION, EQUIVALENCE, evidence, judge_blocks

NAMES = ("pytorch", "tensorflow")
MARGIN = 0.03


@pytest.fixture(autouse=True)
def _no_garbage_collection(monkeypatch):
    """multipletests collects garbage at every call, a tenth of a second and more."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


def logs(mean, spread=0.01, blocks=12, seed=0):
    """Log ratios with exactly this mean and spread."""
    values = np.random.default_rng(seed).normal(size=blocks)
    return (mean + spread * (values - values.mean()) / values.std(ddof=1)).tolist()


def entries(*means, **options):
    return [Entry(f"cell {place}", logs(mean, seed=place, **options)) for place, mean in enumerate(means)]


def test_every_kind_of_outcome():
    given = [*entries(0.2, 0.0, -0.2, 0.02), Entry("open", logs(0.02, 0.1)), Entry("young", [0.3, 0.3]),
             Entry("broken", [], reason="TensorFlow failed in all 3 runs", failed=("tensorflow",))]
    found = summarise(given, NAMES, MARGIN)
    assert [place.outcome for place in found.places] == [
        "win", "tie", "loss", "win", "unknown", "unknown", "not comparable"]
    assert [place.winner for place in found.places[:4]] == ["pytorch", None, "tensorflow", "pytorch"]
    assert [place.by_margin for place in found.places[:4]] == [True, False, True, False]
    assert found.counts == {"win": 2, "tie": 1, "loss": 1, "unknown": 2, "not comparable": 1}
    assert found.sentence.startswith(
        "of 7 comparisons: PyTorch faster in 1, PyTorch faster, may not matter, in 1, TensorFlow faster in 1, no "
        "practical difference in 1, not enough evidence in 2, not comparable in 1 (after Holm); geometric mean of the "
        "ratios PyTorch/TensorFlow ")
    assert found.places[-1].reason == "TensorFlow failed in all 3 runs"
    assert json.loads(json.dumps(found.to_data()))["counts"]["win"] == 2


def test_holm_by_hand():
    given = entries(0.010, 0.012, 0.014, spread=0.012)
    p = [float(evidence(np.array(entry.logs), math.log1p(MARGIN)).direction) * 3 for entry in given]
    assert p[0] > p[1] > p[2]
    found = [place.p_values["direction"] for place in judge_together(given, NAMES, MARGIN)]
    third, second = 3 * p[2], max(3 * p[2], 2 * p[1])
    assert found == pytest.approx([max(second, p[0]), second, third])


@pytest.mark.parametrize("mean", [0.0, 0.011, 0.02, 0.06, -0.035, -0.2])
@pytest.mark.parametrize("spread", [0.005, 0.02, 0.06])
def test_one_comparison_alone_comes_out_as_by_itself(mean, spread):
    values = logs(mean, spread)
    alone = judge_blocks("samples_per_second", NAMES, np.exp(values).tolist(), [1.0] * 12, MARGIN)
    (place,) = judge_together([Entry("x", values)], NAMES, MARGIN)
    words = {"win": ("better", "may not matter"), "loss": ("better", "may not matter"),
             "tie": ("no practical difference",), "unknown": ("not enough evidence",)}
    assert alone.outcome in words[place.outcome]
    assert place.winner == alone.winner
    assert place.by_margin == (alone.outcome == "better")
    assert (place.ratio.low, place.ratio.high) == pytest.approx((alone.figure.low, alone.figure.high))


def test_what_one_comparison_shows_twenty_do_not():
    shown = Entry("x", logs(0.02, 0.02))
    assert judge_together([shown], NAMES, MARGIN)[0].outcome == "win"
    crowd = [shown, *entries(*[0.0] * 19, spread=0.3)]
    found = judge_together(crowd, NAMES, MARGIN)[0]
    assert found.outcome == "unknown"
    assert found.ratio.low < 1 < found.ratio.high


def test_comparisons_that_were_not_made_do_not_widen_the_others():
    few = entries(0.2, 0.012)
    many = [*few, *(Entry(f"absent {place}", []) for place in range(30))]
    assert judge_together(many, NAMES, MARGIN)[:2] == judge_together(few, NAMES, MARGIN)


def test_the_interval_agrees_with_the_outcome():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        given = [Entry(str(place), rng.normal(rng.normal(0, 0.03), 0.03, 12).tolist()) for place in range(15)]
        for place in judge_together(given, NAMES, MARGIN):
            excluded = place.ratio.low > 1 or place.ratio.high < 1
            assert excluded == (place.p_values["direction"] < DIRECTION)


@pytest.mark.parametrize(("mean", "wrong", "limit"), [
    (0.0, ("win", "loss"), DIRECTION / 3), (math.log1p(MARGIN), ("tie",), EQUIVALENCE / 3)])
def test_in_a_matrix_of_equals_an_error_anywhere_is_as_rare_as_promised(mean, wrong, limit, monkeypatch):
    monkeypatch.setattr(matrix, "_figure", lambda logs, level: None)
    monkeypatch.setattr(matrix, "_doubt", lambda ratio, margin: "")
    rng, runs = np.random.default_rng(11), 400
    errors = sum(
        any(place.outcome in wrong for place in judge_together(
            [Entry(str(cell), values) for cell, values in enumerate(rng.normal(mean, 0.05, (12, 12)))], NAMES, MARGIN))
        for _ in range(runs))
    # One look spends a third of the error; the binomial exceeds this in less than 1 of 1000.
    assert errors <= limit * runs + 3.1 * math.sqrt(limit * runs)


def test_beyond_the_margin_is_corrected_too():
    values = logs(0.06, 0.02, seed=3)
    raw = float(evidence(np.array(values), math.log1p(MARGIN)).beyond)
    assert raw * 3 < BEYOND
    place = judge_together([Entry("x", values), *entries(*[0.0] * 19, spread=0.3)], NAMES, MARGIN)[0]
    assert place.p_values["beyond_margin"] == pytest.approx(raw * 60)
    assert place.outcome == "win"
    assert place.by_margin == (raw * 60 < BEYOND)


def test_where_winners_are_mixed_the_factor_is_named():
    given = [Entry(f"{model} {batch}", logs(0.2 if batch > 64 else -0.2, seed=batch),
                   {"batch_size": batch, "model": model})
             for model in ("mlp", "cnn", "lstm") for batch in (32, 64, 128, 256)]
    found = summarise(given, NAMES, MARGIN)
    assert "it depends on the batch size: TensorFlow up to 64, PyTorch from 128 (n = 12 cells)" in found.sentence
    assert found.profile.lines["pytorch"].share[0] == 0.5
    assert found.ratio.n == 12
    assert found.ratio.value == pytest.approx(1.0, abs=0.001)
    same = summarise([entry for entry in given if entry.factors["batch_size"] > 64], NAMES, MARGIN)
    assert same.dependence is None
    assert same.profile is None


def test_a_backend_that_failed_counts_in_the_profile():
    given = [*entries(*[0.2] * 7), Entry("large", [], failed=("pytorch",), reason="out of memory")]
    profile = summarise(given, NAMES, MARGIN).profile
    assert profile.lines["pytorch"].share[-1] == 7 / 8
    assert profile.lines["tensorflow"].share[-1] == 1.0
    assert profile.lines["pytorch"].failed == 1


def test_names_swapped_is_the_mirror_image():
    given = entries(0.2, 0.0, -0.05, 0.02)
    there = summarise(given, NAMES, MARGIN)
    back = summarise([Entry(entry.title, [-value for value in entry.logs]) for entry in given], NAMES[::-1], MARGIN)
    assert (there.counts["win"], there.counts["loss"]) == (back.counts["loss"], back.counts["win"])
    assert [place.winner for place in there.places] == [place.winner for place in back.places]
    assert there.ratio.value == pytest.approx(1 / back.ratio.value)


def test_an_empty_matrix():
    found = summarise([], NAMES, MARGIN)
    assert found.sentence == "of 0 comparisons: none"
    assert found.ratio is None
    only = summarise([Entry("x", [], reason="never run")], NAMES, MARGIN)
    assert only.sentence == "of 1 comparison: not comparable in 1"
