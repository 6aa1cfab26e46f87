"""What it depends on: planted factors are found, chance is called chance."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from harness.analysis import factors
from harness.analysis.factors import LOSS, TIE, UNKNOWN, WIN, depends_on, geometric_mean, leader

NAMES = ("pytorch", "tensorflow")
MODELS = {"mlp": "dense", "wide_mlp": "dense", "cnn": "conv", "resnet": "conv"}
BATCHES = (16, 32, 64, 128)


def grid(mean, spread=0.02, blocks=12, seed=0, text=False):
    """Cells of every model, batch size and tier; mean(cell) is the true log ratio."""
    rng = np.random.default_rng(seed)
    cells = [{"model": model, "model_family": family, "batch_size": str(batch) if text else batch, "tier": tier,
              "device": "cpu"}
             for model, family in MODELS.items() for batch in BATCHES for tier in ("tuned", "idiomatic")]
    means = [mean(cell) for cell in cells]
    logs = [rng.normal(value, spread, blocks).tolist() for value in means]
    words = [TIE if abs(value) < 0.02 else WIN if value > 0 else LOSS for value in means]
    return logs, words, cells


def asked(logs, words, cells):
    return depends_on(logs, words, cells, NAMES, 0.03)


@pytest.mark.parametrize("text", [False, True])
def test_a_threshold_in_the_batch_size(text):
    found = asked(*grid(lambda cell: 0.2 if int(cell["batch_size"]) > 64 else -0.2, text=text))
    assert found.found
    assert found.factor == "batch_size"
    assert found.sentence == "it depends on the batch size: TensorFlow up to 64, PyTorch from 128 (n = 32 cells)"
    assert found.gain == pytest.approx(stats.entropy([0.75, 0.25], base=2), abs=0.01)
    assert found.share == pytest.approx(1.0, abs=0.01)
    assert found.p_value == pytest.approx(1 / 2000)
    assert [row.value for row in found.table] == ["16", "32", "64", "128"]
    assert found.table[3].counts == {WIN: 8, TIE: 0, LOSS: 0, UNKNOWN: 0}
    assert found.table[3].ratio.value == pytest.approx(math.exp(0.2), rel=0.01)
    assert found.table[0].group == found.groups[0].value == "up to 64"
    assert json.loads(json.dumps(found.to_data()))["table"][0]["loss"] == 8


def test_numbers_are_sorted_as_numbers():
    assert factors.sorted_values(["128", "16", "64"]) == ["16", "64", "128"]
    assert factors.sorted_values([1e-3, 10, 2]) == ["0.001", "2", "10"]
    assert factors.sorted_values(["b", None, "a", "b"]) == ["b", "a", factors.ABSENT]
    assert factors.numbers([True, False]) is None
    assert factors.numbers(["1", "nan"]) is None


def test_a_family_is_named_before_its_models():
    found = asked(*grid(lambda cell: 0.2 if cell["model_family"] == "conv" else -0.2))
    assert found.factor == "model_family"
    assert found.sentence.startswith("it depends on the model family: TensorFlow for dense, PyTorch for conv")
    assert found.alike == ()


def test_one_odd_model_is_the_models_and_not_the_familys():
    found = asked(*grid(lambda cell: 0.2 if cell["model"] == "mlp" else -0.2))
    assert found.factor == "model"
    assert "PyTorch for mlp, TensorFlow for wide_mlp, cnn and resnet" in found.sentence


def test_a_middle_that_differs_is_told_value_by_value():
    found = asked(*grid(lambda cell: 0.2 if cell["batch_size"] in (32, 64) else -0.2))
    assert found.factor == "batch_size"
    assert "TensorFlow for 16 and 128, PyTorch for 32 and 64" in found.sentence


def test_ties_are_a_side_of_their_own():
    found = asked(*grid(lambda cell: 0.0 if cell["tier"] == "tuned" else 0.2, spread=0.01))
    assert "no practical difference for tuned, PyTorch for idiomatic" in found.sentence


def test_two_factors_that_cannot_be_told_apart_are_both_named():
    logs, words, cells = grid(lambda cell: 0.2 if cell["tier"] == "tuned" else -0.2)
    cells = [{**cell, "compile": "xla" if cell["tier"] == "tuned" else "none"} for cell in cells]
    found = asked(logs, words, cells)
    assert (found.factor, found.alike) == ("tier", ("compile",))
    assert "the compile splits them in the same way" in found.sentence


def test_a_second_name_of_a_factor_is_not_told():
    logs, words, cells = grid(lambda cell: 0.2 if cell["batch_size"] > 64 else -0.2)
    found = asked(logs, words, [{**cell, "recipe.batch_size": str(cell["batch_size"])} for cell in cells])
    assert (found.factor, found.alike) == ("batch_size", ())


def test_an_interaction_is_no_single_factor():
    found = asked(*grid(lambda cell: 0.2 if (cell["tier"] == "tuned") == (cell["model_family"] == "conv") else -0.2))
    assert not found.found
    assert found.sentence.startswith("no single factor explains it: the best")


def test_few_cells_show_nothing_even_where_the_split_is_clean():
    logs, words, cells = grid(lambda cell: 0.2 if cell["batch_size"] == 128 else -0.2)
    few = [place for place, cell in enumerate(cells)
           if cell["tier"] == "tuned" and cell["batch_size"] in (32, 128) and cell["model"] in ("mlp", "cnn")]
    found = asked(*([part[place] for place in few] for part in (logs, words, cells)))
    assert not found.found
    assert "TensorFlow up to 32, PyTorch from 128" in found.sentence
    assert "among so few cells chance does so as well" in found.sentence


def test_a_value_for_every_cell_explains_nothing():
    logs, words, _ = grid(lambda cell: 0.2 if cell["batch_size"] > 64 else -0.2)
    found = asked(logs, words, [{"name": f"cell {place}"} for place in range(len(logs))])
    assert not found.found
    assert found.p_value == 1.0


def test_cells_that_settle_nothing_weigh_less():
    logs, words, cells = grid(lambda cell: 0.2 if cell["batch_size"] > 64 else -0.2)
    sharp = asked(logs, words, cells)
    vague = [[value * 40 for value in np.random.default_rng(p).normal(0, 0.02, 12)] if p % 2 else values
             for p, values in enumerate(logs)]
    found = asked(vague, [UNKNOWN if p % 2 else word for p, word in enumerate(words)], cells)
    assert found.gain < 0.7 * sharp.gain
    assert sum(row.counts[UNKNOWN] for row in found.table) == 16


def test_random_winners_are_seldom_explained(monkeypatch):
    monkeypatch.setattr(factors, "SHUFFLES", 199)
    monkeypatch.setattr(factors, "geometric_mean", lambda logs: None)
    calls = 0
    for run in range(60):
        sides = np.random.default_rng(run).choice([-0.2, 0.2], 32)
        logs, _, cells = grid(lambda cell: 0.2, seed=run)
        logs = [[side / 0.2 * value for value in values] for side, values in zip(sides, logs, strict=True)]
        calls += asked(logs, [WIN if side > 0 else LOSS for side in sides], cells).found
    assert calls <= 7  # binomial(60, 0.05) exceeds 7 in 1.4%


def test_nothing_to_explain():
    logs, words, cells = grid(lambda cell: 0.2)
    assert "the winners do not differ" in asked(logs, words, cells).sentence
    assert "no factor has more than one value" in asked(logs, words, [{"device": "cpu"}] * len(logs)).sentence
    assert not asked([], [], []).found


def test_blocks_of_a_cell_without_spread_and_single_blocks():
    logs = [[0.2] * 6] * 8 + [[-0.2] * 6] * 8 + [[0.1]]
    found = asked(logs, [WIN] * 8 + [LOSS] * 8 + [UNKNOWN], [{"tier": "a"}] * 8 + [{"tier": "b"}] * 8 + [{"tier": "b"}])
    assert found.found
    assert found.n == 16
    assert found.table[1].counts == {WIN: 0, TIE: 0, LOSS: 8, UNKNOWN: 1}
    assert (found.table[0].ratio.low, found.table[0].ratio.high) == pytest.approx((math.exp(0.2), math.exp(0.2)))


def test_geometric_mean_of_one_cell_is_near_students_interval():
    values = np.random.default_rng(5).normal(0.1, 0.02, 12)
    figure = geometric_mean([values.tolist()])
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert figure.value == pytest.approx(math.exp(values.mean()))
    assert math.log(figure.low) == pytest.approx(interval.low, abs=0.002)
    assert math.log(figure.high) == pytest.approx(interval.high, abs=0.002)


def test_geometric_mean_counts_every_cell_once():
    figure = geometric_mean([[math.log(2)] * 3, [math.log(8)] * 24, [5.0]])
    assert (figure.value, figure.low, figure.n) == (pytest.approx(4), pytest.approx(4), 2)
    assert geometric_mean([[0.1], []]) is None


@pytest.mark.parametrize(("win", "tie", "loss", "unknown", "words"), [
    (3, 0, 0, 1, "PyTorch"), (0, 0, 2, 0, "TensorFlow"), (0, 2, 0, 0, "no practical difference"),
    (3, 1, 0, 0, "mostly PyTorch"), (2, 0, 2, 0, "mixed"), (0, 0, 0, 3, "not settled"),
])
def test_leader(win, tie, loss, unknown, words):
    assert leader({WIN: win, TIE: tie, LOSS: loss, UNKNOWN: unknown}, NAMES) == words
