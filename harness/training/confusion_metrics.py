"""Precision, recall, F-scores and AUC from counts over the whole set (keras/src/metrics/confusion_metrics.py,
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
            # Keras sends everything below the k largest to -1e10; the first of equals wins.
            order = np.argsort(-y_pred, axis=-1, kind="stable")
            top = np.zeros(y_pred.shape, bool)
            np.put_along_axis(top, order[..., : self.metric.top_k], True, axis=-1)
            y_pred = np.where(top, y_pred, -1e10)
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


class AreaUnderCurve:
    """AUC over num_thresholds evenly spaced thresholds, the end ones just outside of [0, 1]."""

    def __init__(self, metric: spec.AUC) -> None:
        self.metric = metric
        # Per bucket of prediction values: weight of the positives, weight of the negatives.
        self.positives = np.zeros(metric.num_thresholds)
        self.negatives = np.zeros(metric.num_thresholds)

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        labels = one_hot_labels(y_true, y_pred).astype(bool).ravel()
        weight = broadcast_weight(sample_weight, y_pred.shape).ravel()
        if self.metric.from_logits:
            y_pred = 1 / (1 + np.exp(-y_pred))
        count = self.metric.num_thresholds
        # In the predictions' own dtype, as Keras does: the bucket of a value at an edge depends on it.
        scaled = np.clip(y_pred.ravel(), 0, 1) * y_pred.dtype.type(count - 1)
        bucket = np.maximum(np.ceil(scaled) - 1, 0).astype(np.int64)
        self.positives += np.bincount(bucket, weight * labels, count)
        self.negatives += np.bincount(bucket, weight * ~labels, count)

    def result(self) -> float:
        true_positives = np.cumsum(self.positives[::-1])[::-1]
        false_positives = np.cumsum(self.negatives[::-1])[::-1]
        positives, negatives = self.positives.sum(), self.negatives.sum()
        if self.metric.curve == "PR" and self.metric.summation_method == "interpolation":
            return self._interpolated(true_positives, false_positives, positives)
        recall = divide_no_nan(true_positives, positives)
        if self.metric.curve == "ROC":
            x, y = divide_no_nan(false_positives, negatives), recall
        else:
            x, y = recall, divide_no_nan(true_positives, true_positives + false_positives)
        heights = {"minoring": np.minimum(y[:-1], y[1:]), "majoring": np.maximum(y[:-1], y[1:])}
        return float(((x[:-1] - x[1:]) * heights.get(self.metric.summation_method, (y[:-1] + y[1:]) / 2)).sum())

    @staticmethod
    def _interpolated(true_positives: Values, false_positives: Values, positives: float) -> float:
        """Davis and Goadrich 2006, as Keras's interpolate_pr_auc."""
        gained = true_positives[:-1] - true_positives[1:]
        predicted = true_positives + false_positives
        slope = divide_no_nan(gained, np.maximum(predicted[:-1] - predicted[1:], 0))
        intercept = true_positives[1:] - slope * predicted[1:]
        both = (predicted[:-1] > 0) & (predicted[1:] > 0)
        ratio = np.where(both, divide_no_nan(predicted[:-1], np.maximum(predicted[1:], 0)), 1.0)
        return float(divide_no_nan(slope * (gained + intercept * np.log(ratio)), positives).sum())
