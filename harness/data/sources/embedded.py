"""The sets that come with scikit-learn: nothing to download, nothing to install."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.spec import sources as spec


def read(source: spec.Source, base: Path | None) -> Raw:
    """digits: x [1797, 8, 8] float32, values 0..16; the others: x [n, features]. Labels int64."""
    from sklearn import datasets

    if isinstance(source, spec.Digits):
        bunch = datasets.load_digits()
        return _labelled(bunch.images.astype(np.float32), bunch)
    if isinstance(source, spec.BreastCancer):
        bunch = datasets.load_breast_cancer()
    elif isinstance(source, spec.Wine):
        bunch = datasets.load_wine()
    else:
        # scaled=False: the numbers as they were measured; `standardise` scales them, on the train split only.
        bunch = datasets.load_diabetes(scaled=False)
        y = bunch.target.astype(np.float32)
        return Raw(Arrays({"x": bunch.data}, {"y": y}), features=tuple(bunch.feature_names))
    raw = _labelled(bunch.data, bunch)
    raw.features = tuple(str(name) for name in bunch.feature_names)
    return raw


def _labelled(x: np.ndarray, bunch: Any) -> Raw:
    return Raw(Arrays({"x": x}, {"y": bunch.target.astype(np.int64)}), classes=len(bunch.target_names))


def identity(source: spec.Source, base: Path | None) -> dict[str, Any]:
    """The library's version stands for the content."""
    return {"scikit-learn": version("scikit-learn")}
