"""Four ways through two frameworks: grouped, held against the spread of seeds, aligned where a phase was not played."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis.curves import curve, loss_distance
from harness.analysis.played import epochs_before, shared_losses
from harness.analysis.primary import Question, judge_primary
from harness.analysis.two_by_two import two_by_two
from harness.records.record import Record
from harness.report.two_by_two import table

WAYS = [("tensorflow", "tensorflow"), ("tensorflow", "pytorch"), ("pytorch", "pytorch"), ("pytorch", "tensorflow")]


def record(first: str, backend: str, seed: int, accuracy: float, **recipe) -> Record:
    """A run of two phases of two epochs with two steps, the first left out where the other backend played it."""
    names = ["pretrain", "finetune"] if first == backend else ["finetune"]
    phases = [{"name": name, "epochs": [{"epoch": epoch, "loss": 1.0} for epoch in (1, 2)]} for name in names]
    losses = {"pretrain": [4.0, 3.0], "finetune": [2.0, 1.0]}
    cell = {"model": {"name": "mlp", "digest": "d"}, "data": "digits", "backend": backend, "seed": seed,
            "execution": {"tier": "tuned"}, "labels": {"backend": backend, "pretrained_in": first},
            "recipe": {"pretrained_in": first, "batch_size": 8, **recipe,
                       "phases": [{"name": "pretrain", "epochs": 2}, {"name": "finetune", "epochs": 2}]}}
    series = {"phase": np.array([name for name in names for _ in losses[name]], dtype=object),
              "loss": np.array([value for name in names for value in losses[name]])}
    return Record({"id": f"{first}{backend}{seed}", "status": "done", "cell": cell, "phases": phases,
                   "test": {"accuracy": accuracy}}, memory_series=series)


def runs(shift: float = 0.0, ways=WAYS, seeds: int = 3, **recipe) -> list[Record]:
    return [record(first, then, seed, 0.9 + 0.01 * seed + (shift if first != then else 0.0), **recipe)
            for first, then in ways for seed in range(seeds)]


def test_the_pairs_that_stay_come_first_and_differences_are_paired_by_seed() -> None:
    (found,) = two_by_two(runs(0.004))
    assert [pair.title for pair in found.pairs] == [
        "TensorFlow -> TensorFlow", "PyTorch -> PyTorch", "TensorFlow -> PyTorch", "PyTorch -> TensorFlow"]
    assert found.measure == "test_accuracy"
    assert found.spread == pytest.approx(0.01)
    crossed = found.pairs[2].difference
    assert crossed is not None
    assert (crossed.value, crossed.n) == (pytest.approx(0.004), 3)
    assert crossed.low == pytest.approx(0.004), "every seed differs by as much"
    assert found.agrees
    assert "all four pairs end within the spread" in found.sentence


def test_a_pair_beyond_the_spread_is_said() -> None:
    (found,) = two_by_two(runs(-0.02))
    assert found.agrees is False
    assert [pair.within for pair in found.pairs] == [None, True, False, False]
    assert "not all four pairs" in found.sentence


def test_what_is_missing_is_not_decided() -> None:
    (found,) = two_by_two(runs(ways=WAYS[:3]))
    assert found.agrees is None
    assert "missing" in found.sentence
    (found,) = two_by_two(runs(seeds=1))
    assert (found.spread, found.agrees) == (None, None)
    assert two_by_two([Record({"id": "x", "status": "done", "cell": {"recipe": {}}, "phases": []})]) == []


def test_recipes_that_differ_elsewhere_are_groups_of_their_own() -> None:
    assert len(two_by_two([*runs(), *runs(batch_size=16)])) == 2


def test_the_table_has_a_row_for_each_way() -> None:
    page = table(two_by_two(runs(0.004)))
    assert [row[1] for row in page.rows][:2] == ["TensorFlow -> TensorFlow", "PyTorch -> PyTorch"]
    assert page.rows[2][4].startswith("91.40%")
    assert page.rows[2][5].startswith("+0.004")
    assert [row[-1] for row in page.rows][1:] == ["yes", "yes", "yes"]
    assert table([]).rows == []


def test_whole_trainings_of_which_one_was_shorter_are_not_timed_against_each_other() -> None:
    pairs = [(record("tensorflow", "pytorch", seed, 0.9), record("tensorflow", "tensorflow", seed, 0.9))
             for seed in range(5)]
    found = judge_primary(Question(primary="train_seconds"), ("pytorch", "tensorflow"), pairs, None)
    assert found.outcome == "not comparable"
    assert "the other's checkpoint" in found.sentence
    found = judge_primary(Question(primary="test_accuracy"), ("pytorch", "tensorflow"), pairs, None)
    assert found.outcome != "not comparable"


def test_runs_are_compared_where_both_were_played() -> None:
    whole, half = record("tensorflow", "tensorflow", 0, 0.9), record("tensorflow", "pytorch", 0, 0.9)
    assert [losses.tolist() for losses in shared_losses([whole, half])] == [[2.0, 1.0], [2.0, 1.0]]
    assert shared_losses([whole, whole])[0].tolist() == [4.0, 3.0, 2.0, 1.0]
    distance = loss_distance(whole, half)
    assert distance is not None
    assert (distance.relative, distance.notes) == (0.0, ())
    assert (epochs_before(whole), epochs_before(half)) == (0, 2)
    line = curve([half], "loss")
    assert line is not None
    assert line.epochs.tolist() == [1, 2, 3, 4]
    assert np.isnan(line.mean[:2]).all()
    assert line.phases == (("finetune", 3),)
