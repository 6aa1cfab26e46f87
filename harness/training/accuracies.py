"""The value per example of Keras's accuracies, and of the plain errors, in NumPy (keras/src/metrics:
accuracy_metrics.py, regression_metrics.py). Shapes: labels [n, ...], predictions [n, ..., classes], values [n, ...]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.training.ranks import same_rank

Values = NDArray[Any]


def equal(y_true: Values, y_pred: Values) -> Values:
    return np.equal(*same_rank(y_true, y_pred))


def binary_accuracy(y_true: Values, y_pred: Values, threshold: float = 0.5) -> Values:
    y_true, y_pred = same_rank(y_true, y_pred)
    return np.equal(y_true, y_pred > threshold)


def categorical_accuracy(y_true: Values, y_pred: Values) -> Values:
    return np.asarray(y_true.argmax(axis=-1) == y_pred.argmax(axis=-1))


def sparse_categorical_accuracy(y_true: Values, y_pred: Values) -> Values:
    return np.asarray(without_last_one(y_true, y_pred) == y_pred.argmax(axis=-1))


def top_k_categorical_accuracy(y_true: Values, y_pred: Values, k: int) -> Values:
    return in_top_k(y_true.argmax(axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Values, y_pred: Values, k: int) -> Values:
    return in_top_k(without_last_one(y_true, y_pred).astype(np.int64), y_pred, k)


def without_last_one(y_true: Values, y_pred: Values) -> Values:
    """Integer labels [n, 1] as [n]."""
    return y_true[..., 0] if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 else y_true


def in_top_k(labels: Values, y_pred: Values, k: int) -> Values:
    """tf.math.in_top_k: fewer than k predictions are strictly larger; not if one of them is not finite."""
    of_label = np.take_along_axis(y_pred, labels[..., None], axis=-1)
    return np.asarray(((y_pred > of_label).sum(axis=-1) < k) & np.isfinite(y_pred).all(axis=-1))


def squared_error(y_true: Values, y_pred: Values) -> Values:
    y_true, y_pred = same_rank(np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64))
    return np.asarray(np.square(y_true - y_pred).mean(axis=-1))


def absolute_error(y_true: Values, y_pred: Values) -> Values:
    y_true, y_pred = same_rank(np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64))
    return np.asarray(np.abs(y_true - y_pred).mean(axis=-1))
