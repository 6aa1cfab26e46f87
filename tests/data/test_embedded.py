"""scikit-learn's sets, against scikit-learn."""

import numpy as np
import pytest
from sklearn import datasets

from harness.data import identity, load

WHOLE = {"validation": 0, "test": 0}


@pytest.mark.parametrize(
    ("name", "loader", "classes"),
    [
        ("breast_cancer", datasets.load_breast_cancer, 2),
        ("wine", datasets.load_wine, 3),
        ("diabetes", lambda: datasets.load_diabetes(scaled=False), None),
    ],
)
def test_tables_are_scikit_learns(name, loader, classes):
    data, theirs = load({"source": name, "split": WHOLE}), loader()
    assert (data.train.x["x"] == theirs.data.astype(np.float32)).all()
    assert (data.train.y["y"] == theirs.target).all()
    assert data.classes == classes
    assert data.train.y["y"].dtype == (np.float32 if classes is None else np.int64)
    assert data.name == name


def test_digits_are_images():
    x = load({"source": "digits", "split": WHOLE}).train.x["x"]
    assert (x == datasets.load_digits().images).all()
    assert (x.shape, x.dtype, x.min(), x.max()) == ((1797, 8, 8), np.float32, 0, 16)


def test_a_quantity_can_be_said_to_be_one():
    data = load({"source": "digits", "classes": "none"})
    assert data.classes is None
    assert data.train.y["y"].dtype == np.float32


def test_identity_names_the_library():
    import sklearn

    assert identity("digits") == {"source": "digits", "scikit-learn": sklearn.__version__}
