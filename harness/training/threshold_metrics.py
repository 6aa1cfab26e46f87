"""Counts over thresholds, and the confusion matrix of classes, over the whole set (keras/src/metrics:
confusion_metrics.py, iou_metrics.py, utils/metrics_utils.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import SpecError
from harness.spec import metrics as spec
from harness.training.confusion_metrics import broadcast_weight, divide_no_nan, one_hot_labels, only_top_k

Values = NDArray[Any]


class Thresholds:
    """Weight of the true and false positives and negatives at each threshold.

    even: the thresholds are i / (n - 1), and predictions are sorted into the buckets between them, as Keras does it.
    """

    def __init__(self, thresholds: Values, even: bool) -> None:
        self.thresholds, self.even = np.asarray(thresholds, np.float64), even
        self.true_positives, self.false_positives = np.zeros(len(thresholds)), np.zeros(len(thresholds))
        self.positives, self.negatives = 0.0, 0.0

    def add(self, labels: Values, y_pred: Values, weight: Values) -> None:
        labels, y_pred, weight = labels.astype(bool).ravel(), y_pred.ravel(), weight.ravel()
        of_positives, of_negatives = weight * labels, weight * ~labels
        self.positives += float(of_positives.sum())
        self.negatives += float(of_negatives.sum())
        if not self.even:
            for index, threshold in enumerate(self.thresholds):
                above = y_pred > threshold
                self.true_positives[index] += of_positives[above].sum()
                self.false_positives[index] += of_negatives[above].sum()
            return
        count = len(self.thresholds)
        # In the predictions' own dtype, as Keras does: the bucket of a value at an edge depends on it.
        scaled = np.clip(y_pred, 0, 1) * y_pred.dtype.type(count - 1)
        bucket = np.ceil(scaled).astype(np.int64)  # 0: a prediction of 0, which is above no threshold
        # The bucket b holds what is above the threshold b - 1 and not above b; nothing is above the last.
        self.true_positives[:-1] += np.cumsum(np.bincount(bucket, of_positives, count)[:0:-1])[::-1]
        self.false_positives[:-1] += np.cumsum(np.bincount(bucket, of_negatives, count)[:0:-1])[::-1]

    @property
    def false_negatives(self) -> Values:
        return self.positives - self.true_positives

    @property
    def true_negatives(self) -> Values:
        return self.negatives - self.false_positives


def _thresholds(count: int) -> Thresholds:
    """Keras's `num_thresholds`: one is 0.5, several are evenly spaced over [0, 1]."""
    return Thresholds(np.asarray([0.5]), False) if count == 1 else Thresholds(np.arange(count) / (count - 1), True)


def _given_thresholds(given: Any) -> Thresholds:
    """Those of a metric's argument `thresholds`: a number or several."""
    values = np.atleast_1d(np.asarray(given, np.float64))
    count = len(values)
    even = count >= 3 and bool(np.allclose(values, np.arange(count) / (count - 1), atol=1e-7))
    return Thresholds(values, even)


class CountOf:
    """TruePositives and its like; `kind` is the attribute of Thresholds."""

    def __init__(self, metric: Any, kind: str) -> None:
        self.kind = kind
        self.counts = _given_thresholds(0.5 if metric.thresholds is None else metric.thresholds)

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        labels = one_hot_labels(y_true, y_pred)
        self.counts.add(labels, y_pred, broadcast_weight(sample_weight, y_pred.shape))

    def result(self) -> Any:
        counted = getattr(self.counts, self.kind)
        return counted if len(counted) > 1 else float(counted[0])


class AtThresholds:
    """Precision or recall at several thresholds: one number for each."""

    def __init__(self, metric: Any, which: str) -> None:
        self.metric, self.which = metric, which
        self.counts = _given_thresholds(metric.thresholds)

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        labels, weight = one_hot_labels(y_true, y_pred), broadcast_weight(sample_weight, y_pred.shape)
        if self.metric.top_k is not None:
            y_pred = only_top_k(y_pred, self.metric.top_k)
        if self.metric.class_id is not None:
            labels, y_pred, weight = (item[..., self.metric.class_id] for item in (labels, y_pred, weight))
        self.counts.add(labels, y_pred, weight)

    def result(self) -> Any:
        found = self.counts.true_positives
        others = self.counts.false_positives if self.which == "precision" else self.counts.false_negatives
        rates = np.asarray(divide_no_nan(found, found + others))
        return rates if len(rates) > 1 else float(rates[0])


class BestAtConstraint:
    """SensitivityAtSpecificity and its like: the best `wanted` where `constrained` is at least `value`."""

    def __init__(self, metric: Any, constrained: str, value: float, wanted: str) -> None:
        self.counts, self.class_id = _thresholds(metric.num_thresholds), metric.class_id
        self.constrained, self.value, self.wanted = constrained, value, wanted

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        labels, weight = one_hot_labels(y_true, y_pred), broadcast_weight(sample_weight, y_pred.shape)
        if self.class_id is not None:
            labels, y_pred, weight = (item[..., self.class_id] for item in (labels, y_pred, weight))
        self.counts.add(labels, y_pred, weight)

    def _rate(self, name: str) -> Values:
        counts = self.counts
        if name == "specificity":
            return np.asarray(divide_no_nan(counts.true_negatives, counts.negatives))
        if name == "precision":
            predicted = counts.true_positives + counts.false_positives
            return np.asarray(divide_no_nan(counts.true_positives, predicted))
        return np.asarray(divide_no_nan(counts.true_positives, counts.positives))  # sensitivity, or recall

    def result(self) -> float:
        feasible = self._rate(self.constrained) >= self.value
        return float(np.where(feasible, self._rate(self.wanted), 0.0).max())


class Overlap:
    """Intersection over union of classes, from their confusion matrix."""

    def __init__(self, metric: Any) -> None:
        self.metric = metric
        self.classes, self.targets = metric.counted()
        self.matrix = np.zeros((self.classes, self.classes), np.int64)

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        metric = self.metric
        if isinstance(metric, spec.BinaryIoU):
            y_pred = y_pred.astype(np.float32) >= metric.threshold
        elif not getattr(metric, "sparse_y_pred", True):
            y_pred = y_pred.argmax(axis=-1)
        one_hot = isinstance(metric, (spec.OneHotIoU, spec.OneHotMeanIoU)) or not getattr(metric, "sparse_y_true", True)
        y_true = y_true.argmax(axis=-1) if one_hot else y_true
        labels, predicted = y_true.astype(np.int64).ravel(), y_pred.astype(np.int64).ravel()
        if labels.shape != predicted.shape:
            raise SpecError(f"labels {y_true.shape} do not fit the predicted classes {y_pred.shape}.",
                            hint="Say by sparse_y_true and sparse_y_pred which of them are one value per class.")
        weight = np.ones(1, np.int64) if sample_weight is None else np.asarray(sample_weight).astype(np.int64).ravel()
        weight = np.broadcast_to(weight, labels.shape)
        known = (labels >= 0) & (labels < self.classes) & (predicted >= 0) & (predicted < self.classes)
        if getattr(metric, "ignore_class", None) is not None:
            known &= labels != metric.ignore_class
        np.add.at(self.matrix, (labels[known], predicted[known]), weight[known])

    def result(self) -> float:
        both = np.diag(self.matrix)
        either = (self.matrix.sum(axis=0) + self.matrix.sum(axis=1) - both)[list(self.targets)]
        each = np.where(either > 0, both[list(self.targets)] / (either + 1e-7), 0.0)
        return float(each.sum() / ((either > 0).sum() + 1e-7))
