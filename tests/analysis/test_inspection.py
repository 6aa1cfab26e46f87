"""Confusion, precision, recall and F1 against scikit-learn; disagreements against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from harness.analysis.inspection import between_seeds, class_scores, confusion, disagreements
from harness.records.inspection import Inspection


@pytest.mark.parametrize(("classes", "size", "seed"), [(2, 50, 0), (5, 300, 1), (12, 40, 2), (3, 1, 3)])
def test_scores_are_scikit_learns(classes: int, size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, predicted = random.integers(0, classes, (2, size))
    predicted = np.where(random.random(size) < 0.4, labels, predicted)
    matrix = confusion(labels, predicted, classes)
    every = np.arange(classes)
    assert np.array_equal(matrix, metrics.confusion_matrix(labels, predicted, labels=every))
    scores = class_scores(matrix)
    expected = metrics.precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    for mine, theirs in zip((scores.precision, scores.recall, scores.f1, scores.support), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert scores.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro", zero_division=0))


def look(predicted: list[int], probability: list[float], labels: list[int]) -> Inspection:
    return Inspection({}, {"label_0": np.array(labels, np.int16), "predicted_0": np.array(predicted, np.int16),
                           "probability_0": np.array(probability, np.float32)})


def test_disagreements_are_counted_and_the_surest_shown() -> None:
    labels = [0, 1, 2, 3, 4, 5]
    one = look([0, 1, 0, 3, 9, 5], [0.9, 0.9, 0.6, 0.9, 0.8, 0.5], labels)
    other = look([0, 2, 2, 3, 8, 1], [0.9, 0.8, 0.7, 0.9, 0.9, 0.9], labels)
    found = disagreements(one, other, seed=7, most=3)
    assert (found.examples, found.count, found.right) == (6, 4, (2, 1))
    # The smaller probabilities: 0.8, 0.6, 0.8, 0.5; of equal ones the first.
    assert [item.index for item in found.shown] == [1, 4, 2]
    assert found.shown[0].seed == 7
    assert found.shown[0].label == 1
    assert [said for said, _ in found.shown[0].predictions] == [1, 2]
    assert [probability for _, probability in found.shown[0].predictions] == pytest.approx([0.9, 0.8])
    assert disagreements(one, one).count == 0


def test_what_one_record_keeps_and_the_other_does_not_is_left_out() -> None:
    long = look([0, 1, 2], [1, 1, 1], [0, 1, 2])
    assert disagreements(long, look([0], [1], [0])).examples == 1
    assert disagreements(long, Inspection({})).examples == 0


def test_chance_is_what_two_seeds_differ_by() -> None:
    a, b = look([0, 1, 2, 3], [1] * 4, [0] * 4), look([0, 1, 2, 0], [1] * 4, [0] * 4)
    assert between_seeds({"tensorflow": {0: a, 1: b}, "pytorch": {0: a, 1: a}}) == pytest.approx(1 / 8)
    assert between_seeds({"tensorflow": {0: a}, "pytorch": {0: b}}) is None
