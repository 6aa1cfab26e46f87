"""NumPy archives: splits by name, several inputs, weights, and no pickles."""

import pickle

import numpy as np
import pytest

from harness.data import from_arrays, identity, load, save
from harness.errors import DataError

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2


def _save(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def test_one_pair_is_split(tmp_path):
    data = load({"npz": str(_save(tmp_path, x=X, y=Y))})
    assert data.examples == {"train": 14, "validation": 3, "test": 3}
    assert (data.classes, data.name) == (2, "data.npz")
    assert data.train.x["x"].dtype == np.float32


def test_the_files_own_splits_are_kept(tmp_path):
    path = _save(tmp_path, x_train=X, y_train=Y, x_val=X[:4], y_val=Y[:4], x_test=X[:6], y_test=Y[:6])
    data = load({"npz": str(path)})
    assert data.examples == {"train": 20, "validation": 4, "test": 6}
    assert (data.train.x["x"] == X).all()


def test_several_inputs_targets_and_weights(tmp_path):
    images = np.zeros((20, 4, 4), np.uint8)
    path = _save(tmp_path, image=images, words=np.full((20, 3), 7), kind=Y, price=X[:, 0], w=np.arange(20))
    data = load(
        {"npz": str(path), "inputs": ["image", "words"], "targets": ["kind", "price"], "sample_weight": "w"}
    )
    assert {name: array.dtype for name, array in data.train.x.items()} == {
        "image": np.float32,
        "words": np.int32,
    }
    assert {name: array.dtype for name, array in data.train.y.items()} == {
        "kind": np.int64,
        "price": np.float32,
    }
    assert (data.train.sample_weight == data.train.y["price"] / 2).all(), "rows stay together"


def test_targets_in_a_column_are_labels(tmp_path):
    assert load({"npz": str(_save(tmp_path, x=X, y=Y[:, None]))}).train.y["y"].shape == (14,)


def test_text_and_bool_targets_are_labels(tmp_path):
    data = load(
        {"npz": str(_save(tmp_path, x=X, y=np.where(Y, "no", "yes"))), "split": {"test": 0, "validation": 0}}
    )
    assert (data.train.y["y"] == 1 - Y).all()
    assert data.notes == ("Labels of y: 0 = no, 1 = yes.",)
    assert load({"npz": str(_save(tmp_path, x=X, y=Y == 1))}).classes == 2


def test_a_saved_dataset_comes_back_bit_by_bit(tmp_path):
    data = from_arrays(
        {"a": X, "b": Y.astype(np.uint8)}, Y, validation=({"a": X[:3], "b": Y[:3].astype(np.uint8)}, Y[:3])
    )
    save(data, tmp_path / "saved.npz")
    again = load({"arrays": "saved.npz"}, base=tmp_path)
    assert again.fingerprint == data.fingerprint
    assert (again.name, again.classes, again.examples) == ("arrays", 2, {"train": 20, "validation": 3})
    assert again.train.x["a"].dtype == np.float64
    assert again.train.x["b"].dtype == np.uint8


def test_identity_is_that_of_the_file(tmp_path):
    import hashlib

    path = _save(tmp_path, x=X, y=Y)
    content = path.read_bytes()
    expected = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    assert identity({"npz": "data.npz"}, base=tmp_path) == {"source": "data.npz", "files": [expected]}


class _Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def test_pickles_are_refused_and_not_run(tmp_path):
    path = _save(tmp_path, x=np.array([_Bomb()], dtype=object), y=Y)
    with pytest.raises(DataError, match="Python objects"):
        load({"npz": str(path)})
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(DataError, match="no NumPy archive"):
        load({"npz": str(path)})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "no array 'y'"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "'x_test' but no 'y_test'"),
        ({"x": X, "y": Y[:-1]}, "x/x has 20, y/y has 19"),
        ({"x": X[:0], "y": Y[:0]}, "no examples"),
        ({"x": np.float64(3), "y": Y}, "single number"),
        ({"x": np.array(["a"] * 20), "y": Y}, "expected numbers"),
        ({"x": X + 1j, "y": Y}, "expected numbers"),
        ({"x": X, "y": Y - 1}, r"labels out of range: -1 in example 0 \(10 in all\); expected 0\.\.1"),
        ({"x": X, "y": Y * 1000000}, "1000001 classes .* for 20 examples"),
        ({"x": X, "y": Y * 2}, "1 of 3 classes are missing from the train split: 1"),
        ({"x_train": X, "y_train": Y * 0, "x_test": X, "y_test": Y}, "missing from the train split: 1"),
        ({"x": np.where(X == 7, np.nan, X), "y": Y}, r"x/x holds nan .*clean"),
        ({"x": np.where(X == 7, -np.inf, X), "y": Y}, r"x/x holds -inf"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y}, r"shape \(1,\), train has \(2,\)"),
    ],
)
def test_arrays_that_cannot_be_learned(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load({"npz": str(_save(tmp_path, **arrays))})


def test_labels_beyond_the_declared_classes(tmp_path):
    path = str(_save(tmp_path, x=X, y=np.arange(20) % 5))
    with pytest.raises(DataError, match=r"out of range: 4 .*expected 0\.\.3"):
        load({"npz": path, "classes": 4})
    with pytest.raises(DataError, match="1 of 6 classes are missing"):
        load({"npz": path, "classes": 6})


@pytest.mark.parametrize("weights", [-np.ones(20), np.ones((20, 2)), np.array(["a"] * 20)])
def test_weights_that_are_none(tmp_path, weights):
    path = str(_save(tmp_path, x=X, y=Y, w=weights))
    with pytest.raises(DataError, match=r">= 0|expected numbers"):
        load({"npz": path, "sample_weight": "w"})


def test_weights_need_a_place():
    with pytest.raises(DataError, match="has no 'w'"):
        load({"source": "digits", "sample_weight": "w"})


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "data.npz").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match="no NumPy archive"):
        load("data.npz", base=tmp_path)
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(DataError, match="one array, not an archive"):
        load({"npz": "one.npy"}, base=tmp_path)
    whole = _save(tmp_path, x=X, y=Y).read_bytes()
    (tmp_path / "data.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot read|no NumPy archive"):
        load("data.npz", base=tmp_path)


def test_other_peoples_archives_are_not_saved_datasets(tmp_path):
    _save(tmp_path, x=X, y=Y)
    with pytest.raises(DataError, match=r"not written by harness\.data\.save"):
        load({"arrays": "data.npz"}, base=tmp_path)
