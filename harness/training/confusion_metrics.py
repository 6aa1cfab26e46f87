"""Precision, recall and F-scores from counts over the whole set (keras/src/metrics/confusion_metrics.py,
f_score_metrics.py, utils/metrics_utils.py).

Keras's versions refuse integer class labels; here they are read as their one-hot form.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import SpecError
from harness.spec import metrics as spec

Values = NDArray[Any]
EPSILON = 1e-7  # keras.config.epsilon()


def one_hot_labels(y_true: Values, y_pred: Values) -> Values:
    """Labels in the shape of the predictions: [n] or [n, 1] becomes [n, 1] or, for integers, one-hot [n, classes]."""
    if y_true.shape == y_pred.shape:
        return y_true
    if y_true.size == y_pred.size:
        return y_true.reshape(y_pred.shape)
    labels = y_true[..., 0] if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 else y_true
    if labels.shape != y_pred.shape[:-1]:
        raise SpecError(f"labels {y_true.shape} do not fit predictions {y_pred.shape}.")
    return np.asarray(labels[..., None] == np.arange(y_pred.shape[-1]))


def broadcast_weight(sample_weight: Values | None, shape: tuple[int, ...]) -> Values:
    """Weights [n] (or [n, ...]) for every entry of the predictions."""
    if sample_weight is None:
        return np.ones(shape)
    weight = np.asarray(sample_weight, np.float64)
    weight = weight.reshape(weight.shape + (1,) * (len(shape) - weight.ndim))
    return np.broadcast_to(weight, shape)


def divide_no_nan(first: Any, second: Any) -> Any:
    second = np.asarray(second, np.float64)
    return np.where(second == 0, 0.0, first / np.where(second == 0, 1.0, second))


def only_top_k(y_pred: Values, k: int) -> Values:
    """Everything below the k largest at -1e10, as Keras does it; the first of equals wins."""
    order = np.argsort(-y_pred, axis=-1, kind="stable")
    top = np.zeros(y_pred.shape, bool)
    np.put_along_axis(top, order[..., :k], True, axis=-1)
    return np.where(top, y_pred, -1e10)


class PrecisionOrRecall:
    """True positives over predicted positives (precision) or over positives (recall)."""

    def __init__(self, metric: spec.Precision | spec.Recall, which: Literal["precision", "recall"]) -> None:
        self.metric = metric
        self.which = which
        self.true_positives = 0.0
        self.others = 0.0

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        labels = one_hot_labels(y_true, y_pred).astype(bool)
        if self.metric.top_k is not None:
            y_pred = only_top_k(y_pred, self.metric.top_k)
        threshold = self.metric.thresholds
        if threshold is None:
            threshold = 0.5 if self.metric.top_k is None else -1e10
        predicted = y_pred > threshold
        if self.metric.class_id is not None:
            labels, predicted = labels[..., self.metric.class_id, None], predicted[..., self.metric.class_id, None]
        weight = broadcast_weight(sample_weight, labels.shape)
        self.true_positives += float(weight[labels & predicted].sum())
        other = (~labels & predicted) if self.which == "precision" else (labels & ~predicted)
        self.others += float(weight[other].sum())

    def result(self) -> float:
        return float(divide_no_nan(self.true_positives, self.true_positives + self.others))


class FBeta:
    """F-score per class, or averaged over classes or entries; without threshold the largest prediction is positive."""

    def __init__(self, metric: spec.F1Score | spec.FBetaScore, beta: float) -> None:
        self.metric, self.beta = metric, beta
        self.counts: Values | None = None

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        labels = one_hot_labels(y_true, y_pred).astype(np.float64)
        if y_pred.ndim == 1:
            labels, y_pred = labels[:, None], y_pred[:, None]
        if y_pred.ndim != 2:
            raise SpecError(f"{self.metric.default_name()} needs predictions [n, classes], got {y_pred.shape}.")
        if self.metric.threshold is None:
            predicted = (y_pred >= y_pred.max(axis=-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            predicted = y_pred > self.metric.threshold
        weight = broadcast_weight(sample_weight, labels.shape)
        axis = None if self.metric.average == "micro" else 0
        parts = (predicted * labels, predicted * (1 - labels), (1 - predicted) * labels, labels)
        counts = np.stack([np.asarray((part * weight).sum(axis=axis)) for part in parts])
        self.counts = counts if self.counts is None else self.counts + counts

    def result(self) -> Any:
        if self.counts is None:
            return 0.0
        true_positives, false_positives, false_negatives, labels = self.counts
        precision = true_positives / (true_positives + false_positives + EPSILON)
        recall = true_positives / (true_positives + false_negatives + EPSILON)
        square = self.beta**2
        score = (1 + square) * (precision * recall / (square * precision + recall + EPSILON))
        if self.metric.average == "weighted":
            return (score * (labels / (labels.sum() + EPSILON))).sum()
        return score if self.metric.average is None else score.mean()
