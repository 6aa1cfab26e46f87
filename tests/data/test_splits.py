"""Splits are partitions, keep class proportions, and depend on the seed alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import load
from harness.data.dataset import Arrays
from harness.data.splits import last_part, partition
from harness.errors import DataError


@st.composite
def cases(draw):
    n = draw(st.integers(2, 300))
    test = draw(st.integers(0, n - 1))
    validation = draw(st.integers(0, n - 1 - test))
    labels = draw(st.none() | st.lists(st.integers(0, 4), min_size=n, max_size=n).map(np.array))
    return n, {"test": test, "validation": validation}, draw(st.integers(0, 2**32)), labels


@given(cases())
def test_a_split_is_a_partition_of_the_asked_sizes(case):
    n, sizes, seed, labels = case
    parts = partition(n, sizes, seed, labels)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(n))
    assert {part: len(parts[part]) for part in sizes} == sizes
    assert all((np.diff(indices) > 0).all() for indices in parts.values()), "the source's order is kept"


@given(cases())
def test_a_stratified_split_keeps_class_proportions_to_one_example(case):
    n, sizes, seed, labels = case
    if labels is None:
        return
    test = partition(n, sizes, seed, labels)["test"]
    for label in range(5):
        share = sizes["test"] * (labels == label).sum() / n
        assert abs((labels[test] == label).sum() - share) < 1


def test_the_seed_decides():
    sizes = {"test": 30}
    first = partition(200, sizes, 0)["test"]
    assert (partition(200, sizes, 0)["test"] == first).all()
    assert (partition(200, sizes, 1)["test"] != first).any()


def test_splits_do_not_change_silently():
    """A new NumPy that draws other numbers would compare unlike runs: this is the choice of seed 0."""
    parts = {
        part: indices.tolist() for part, indices in partition(12, {"test": 4, "validation": 2}, 0).items()
    }
    assert parts == {"train": [0, 4, 5, 7, 9, 10], "test": [1, 2, 3, 11], "validation": [6, 8]}


def test_digits_are_split_70_15_15_with_all_classes_in_proportion():
    data = load({"source": "digits", "split": {"validation": 0.15, "test": 0.15, "seed": 0}})
    assert data.examples == {"train": 1257, "validation": 270, "test": 270}
    whole = np.bincount(np.concatenate([part.y["y"] for part in data.splits.values()]))
    for part in data.splits.values():
        assert np.abs(np.bincount(part.y["y"]) - whole * part.examples / 1797).max() <= 1


def test_no_example_is_in_two_splits():
    data = load("breast_cancer")
    rows = [row.tobytes() for part in data.splits.values() for row in part.x["x"]]
    assert len(set(rows)) == len(rows) == 569


def test_stratified_by_default_only_where_it_can_be():
    assert load("wine").notes == ()
    assert load("diabetes").classes is None
    with pytest.raises(DataError, match="no classes to stratify"):
        load({"source": "diabetes", "split": {"stratify": True}})


def test_counts_none_and_the_test_set_as_validation():
    assert load({"source": "wine", "split": {"validation": 20, "test": 0}}).examples == {
        "train": 158,
        "validation": 20,
    }
    assert load({"source": "wine", "split": {"validation": 0, "test": 0}}).examples == {"train": 178}
    watched = load({"source": "wine", "split": {"validation": "test"}, "prepare": ["standardise"]})
    assert watched.validation is watched.test
    assert any("validation set is the test set" in note for note in watched.notes)
    # Prepared once, not twice.
    plain = load({"source": "wine", "split": {"validation": 0}, "prepare": ["standardise"]})
    assert (watched.test.x["x"] == plain.test.x["x"]).all()


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"validation": 0.5, "test": 0.5}, "leave no example"),
        ({"test": 400}, "leave no example"),
        ({"test": 0.001}, "is none for test"),
        ({"validation": "test", "test": 0}, "no test set"),
    ],
)
def test_splits_that_cannot_be(split, message):
    with pytest.raises(DataError, match=message):
        load({"source": "wine", "split": split})


def test_limits_are_stratified_subsets():
    full, some = load("digits"), load({"source": "digits", "limit": {"train": 100, "test": 20}})
    assert some.examples == {"train": 100, "validation": 270, "test": 20}
    assert np.bincount(some.train.y["y"]).min() >= 9
    rows = {row.tobytes() for row in full.train.x["x"]}
    assert all(row.tobytes() in rows for row in some.train.x["x"])


@given(st.integers(1, 400), st.floats(0.01, 0.99))
def test_validation_split_is_kerass(n, share):
    arrays = Arrays({"x": np.arange(n)}, {"y": np.arange(n)})
    first = int(np.floor(n * (1.0 - share)))
    if first in (0, n):
        with pytest.raises(DataError, match="leaves a part empty"):
            last_part(arrays, share)
        return
    train, validation = last_part(arrays, share)
    assert train.x["x"].tolist() == list(range(first))
    assert validation.y["y"].tolist() == list(range(first, n))
