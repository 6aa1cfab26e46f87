"""Arrays in memory, as model.fit takes them; and what a dataset is known by."""

import numpy as np
import pandas
import pytest

from harness.data import check_labels, fingerprint, from_arrays
from harness.data.dataset import Arrays
from harness.errors import DataError

X, Y = np.arange(60.0).reshape(20, 3), np.arange(20) % 4


def test_arrays_stay_as_they_are():
    data = from_arrays(X, Y, validation=(X[:5], Y[:5]), test=(X[:2], Y[:2], np.ones(2)))
    assert data.train.x["x"] is X
    assert data.examples == {"train": 20, "validation": 5, "test": 2}
    assert data.classes == 4
    assert data.test.sample_weight.tolist() == [1, 1]


def test_validation_split_takes_the_last_examples():
    data = from_arrays(X, Y, sample_weight=np.arange(20), validation_split=0.15)
    # Keras: floor(20 * (1 - 0.15)) = 17 to train on.
    assert (data.train.x["x"] == X[:17]).all()
    assert data.validation.sample_weight.tolist() == [17, 18, 19]
    both = from_arrays(X, Y, validation=(X[:5], Y[:5]), validation_split=0.5)
    assert both.examples == {"train": 20, "validation": 5}, "validation data goes first, as in Keras"


def test_names():
    assert set(from_arrays({"a": X, "b": X}, {"p": Y}).train.x) == {"a", "b"}
    assert list(from_arrays([X, X], Y).train.x) == ["x_0", "x_1"]
    assert list(from_arrays([X, X], [Y], input_names=["left", "right"]).train.x) == ["left", "right"]
    assert list(from_arrays(X, Y, input_names=["image"], target_names=["kind"]).train.y) == ["kind"]
    assert from_arrays([[1, 2], [3, 4]], [0, 1]).train.x["x"].shape == (2, 2)


def test_frames_lists_and_foreign_byte_orders():
    frame = from_arrays(pandas.DataFrame(X), pandas.Series(Y))
    assert (frame.train.x["x"] == X).all()
    foreign = from_arrays(X.astype(">f4")[::-1], Y)
    assert foreign.train.x["x"].dtype.isnative
    assert (foreign.train.x["x"] == X[::-1]).all()
    assert foreign.train.x["x"].flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y, 4),
        (Y[:, None], 4),
        (Y * 1.0, None),
        (Y - 1, None),
        (np.eye(4)[Y], None),
        (None, None),
        ({"a": Y, "b": Y}, None),
    ],
)
def test_classes_are_whole_numbers(y, classes):
    assert from_arrays(X, y).classes == classes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X, "y": Y[:-1]}, "x/x has 20, y/y has 19"),
        ({"x": X[:0], "y": Y[:0]}, "no examples"),
        ({"x": np.where(X == 5, np.nan, X), "y": Y}, r"x/x holds nan \(example 1, position \(2,\)\)"),
        ({"x": X, "y": Y + np.inf}, "y/y holds"),
        ({"x": X.astype(object), "y": Y}, "holds object"),
        ({"x": X, "y": np.array(["a"] * 20)}, "expected numbers"),
        ({"x": [[1, 2], [3]], "y": Y}, "x is no array"),
        ({"x": X, "y": Y, "validation": X}, r"expected \(x, y\)"),
        ({"x": X, "y": Y, "validation": (X[:3], Y[:2])}, "data: validation"),
        ({"x": X, "y": Y, "validation_split": 1.0}, "below 1"),
        ({"x": X, "y": Y, "validation_split": 0.999}, "leaves a part empty"),
        ({"x": X, "y": Y, "sample_weight": np.ones(19)}, "sample_weight has 19"),
        ({"x": X, "y": Y, "sample_weight": -np.ones(20)}, "negative"),
        ({"x": [X, X], "y": Y, "input_names": ["a"]}, "expected 1 arrays"),
        ({"x": X, "y": Y, "input_names": ["a", "b"]}, r"expected 2 arrays \(a, b\), got one"),
        ({"x": 3.0, "y": Y}, "single number"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        from_arrays(**arguments)


def test_the_fingerprint_sees_every_bit_and_nothing_else():
    def of(x, y=Y, **splits):
        return fingerprint({"train": Arrays(x if isinstance(x, dict) else {"x": x}, {"y": y}), **splits})

    first = of(X)
    assert first == of(X.copy()) == of(np.asfortranarray(X)) == of(X.astype(">f8"))
    changed = X.copy()
    changed[7, 1] = np.nextafter(changed[7, 1], 100)
    others = [of(changed), of(X.astype(np.float32)), of(X.reshape(20, 3, 1)), of({"z": X}), of(X, Y + 1)]
    others.append(of(X, validation=Arrays({"x": X}, {"y": Y})))
    others.append(fingerprint({"train": Arrays({"x": X}, {"y": Y}, np.ones(20))}))
    assert len({first, *others}) == len(others) + 1
    assert of({"a": X, "b": Y}) == of({"b": Y, "a": X}), "the order of the names does not matter"


def test_check_labels():
    check_labels(np.array([0, 3]), 4)
    with pytest.raises(
        DataError, match=r"model: labels out of range: 4 in example 1 \(1 in all\); expected 0\.\.3"
    ):
        check_labels(np.array([0, 4]), 4, where="model")
