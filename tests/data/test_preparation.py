"""Preparation: fitted on the train split only, and equal to what others compute."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import load
from harness.errors import DataError


def _save(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return str(path)


def test_standardise_is_scikit_learns_fitted_on_train():
    from sklearn.preprocessing import StandardScaler

    plain, ours = load("breast_cancer"), load({"source": "breast_cancer", "prepare": ["standardise"]})
    scaler = StandardScaler().fit(plain.train.x["x"].astype(np.float64))
    for part in ("train", "validation", "test"):
        theirs = scaler.transform(plain.splits[part].x["x"].astype(np.float64))
        # atol: the features are float64 when ours are standardised and rounded to float32 before theirs.
        np.testing.assert_allclose(ours.splits[part].x["x"], theirs, rtol=1e-5, atol=1e-4)
    assert abs(ours.test.x["x"].mean(axis=0)).max() > 0.01, "the test split is not centred on itself"


def test_test_values_do_not_reach_the_statistics(tmp_path):
    x_train, x_test = np.array([[0.0], [2.0]]), np.array([[1e6]])
    path = _save(tmp_path, x_train=x_train, y_train=[0, 1], x_test=x_test, y_test=[0])
    data = load({"npz": path, "split": {"validation": 0}, "prepare": ["standardise"]})
    assert data.train.x["x"].ravel().tolist() == [-1.0, 1.0]
    assert data.test.x["x"].item() == pytest.approx(1e6 - 1)


@given(st.integers(1, 5), st.integers(0, 2**31))
def test_standardise_per_feature_channel_and_all(channels, seed):
    from harness.data.preparation import standardise
    from harness.spec.preparation import Standardise

    x = np.random.default_rng(seed).normal(3, 5, (40, 4, 6, channels))
    for each, axes in (("feature", (0,)), ("channel", (0, 1, 2)), ("all", (0, 1, 2, 3)), ("auto", (0, 1, 2))):
        z = standardise(Standardise(each=each), x, "x", {})(x)
        np.testing.assert_allclose(z.mean(axis=axes), 0, atol=1e-9)
        np.testing.assert_allclose(z.std(axis=axes), 1, atol=1e-9)


def test_constant_features_are_centred_and_do_not_explode(tmp_path):
    x = np.column_stack([np.full(50, 0.1), np.arange(50)])
    data = load({"npz": _save(tmp_path, x=x, y=np.arange(50) % 2), "prepare": ["standardise"]})
    assert np.abs(data.train.x["x"][:, 0]).max() < 1e-7
    digits = load({"source": "digits", "prepare": [{"standardise": {"each": "feature"}}]})
    assert np.abs(digits.test.x["x"]).max() < 100


def test_min_max_and_rescale():
    plain = load("digits")
    unit = load({"source": "digits", "prepare": [{"min_max": {"low": -1, "high": 1, "each": "all"}}]})
    np.testing.assert_allclose(unit.test.x["x"], plain.test.x["x"] / 8 - 1, atol=1e-6)
    scaled = load({"source": "digits", "prepare": [{"rescale": {"scale": "1/16", "offset": -0.5}}]})
    np.testing.assert_allclose(scaled.test.x["x"], plain.test.x["x"] / 16 - 0.5, atol=1e-7)
    assert scaled.train.x["x"].dtype == np.float32


def test_layout_steps_and_one_hot():
    data = load({"source": "digits", "prepare": ["channels", "one_hot"]})
    assert data.train.x["x"].shape == (1257, 8, 8, 1)
    plain = load("digits")
    assert (data.train.y["y"] == np.eye(10, dtype=np.float32)[plain.train.y["y"]]).all()
    assert data.classes == 10
    flat = load({"source": "digits", "prepare": ["flatten"]})
    assert (flat.train.x["x"] == plain.train.x["x"].reshape(1257, 64)).all()
    with pytest.raises(DataError, match="channels"):
        load({"source": "wine", "prepare": ["channels"]})
    with pytest.raises(DataError, match="expected labels"):
        load({"source": "diabetes", "prepare": ["one_hot"]})
    with pytest.raises(DataError, match=r"outside 0\.\.4"):
        load({"source": "digits", "prepare": [{"one_hot": {"classes": 5}}]})


def test_targets_can_be_prepared_by_name():
    data = load({"source": "diabetes", "prepare": [{"standardise": {"arrays": ["x", "y"]}}]})
    assert abs(data.train.y["y"].mean()) < 1e-6
    assert data.train.y["y"].std() == pytest.approx(1, abs=1e-6)
    with pytest.raises(DataError, match="Known: x, y"):
        load({"source": "diabetes", "prepare": [{"standardise": {"arrays": ["z"]}}]})


def test_cast_keeps_float64():
    assert load({"source": "wine", "prepare": ["standardise", {"cast": {"dtype": "float64"}}]}).train.x[
        "x"
    ].dtype == np.dtype(np.float64)


X_GAPS = np.array([[1.0, np.nan], [3.0, 4.0], [np.inf, 4.0], [5.0, 10.0]])


@pytest.mark.parametrize(
    ("clean", "column_0", "column_1"),
    [
        ({"missing": "mean"}, [1, 3, 3, 5], [6, 4, 4, 10]),
        ({"missing": "median"}, [1, 3, 3, 5], [4, 4, 4, 10]),
        ({"missing": "most_frequent"}, [1, 3, 1, 5], [4, 4, 4, 10]),
        ({"missing": "constant", "value": -1}, [1, 3, -1, 5], [-1, 4, 4, 10]),
        ({"missing": "drop"}, [3, 5], [4, 10]),
    ],
)
def test_clean(tmp_path, clean, column_0, column_1):
    path = _save(tmp_path, x=X_GAPS, y=np.array([0.0, 1.5, 2, 3]))
    data = load({"npz": path, "split": {"validation": 0, "test": 0}, "prepare": [{"clean": clean}]})
    assert data.train.x["x"].T.tolist() == [column_0, column_1]
    assert len(data.notes) == 1
    assert "missing values" in data.notes[0]


def test_imputation_uses_the_train_split_only(tmp_path):
    path = _save(
        tmp_path,
        x_train=np.array([[1.0], [3.0]]),
        y_train=np.array([0.5, 1.5]),
        x_test=np.array([[np.nan], [100.0]]),
        y_test=np.array([0.5, 1.5]),
    )
    data = load({"npz": path, "split": {"validation": 0}, "prepare": [{"clean": {"missing": "mean"}}]})
    assert data.test.x["x"].ravel().tolist() == [2.0, 100.0]


def test_what_cannot_be_cleaned(tmp_path):
    path = _save(tmp_path, x=X_GAPS, y=np.array([0.0, np.nan, 2, 3]))
    with pytest.raises(DataError, match="1 values are missing"):
        load({"npz": path, "prepare": [{"clean": {"missing": "mean"}}]})
    path = _save(tmp_path, x=np.full((4, 2), np.nan), y=np.arange(4.0))
    with pytest.raises(DataError, match="every example of train has a missing value"):
        load({"npz": path, "prepare": ["clean"]})
    with pytest.raises(DataError, match="no value in the train split"):
        load({"npz": path, "prepare": [{"clean": {"missing": "median"}}]})
