"""The area under a curve over thresholds (keras/src/metrics/confusion_metrics.py: AUC, utils/metrics_utils.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import SpecError
from harness.spec import metrics as spec
from harness.training.confusion_metrics import EPSILON, broadcast_weight, divide_no_nan, one_hot_labels

Values = NDArray[Any]


class AreaUnderCurve:
    """AUC over thresholds, the end ones just outside of [0, 1]; of single labels, with multi_label."""

    def __init__(self, metric: spec.AUC) -> None:
        self.metric = metric
        count = metric.num_thresholds
        inner = metric.thresholds and sorted(metric.thresholds)
        if inner is not None:
            count = len(inner) + 2
            even = np.allclose([0.0, *inner, 1.0], np.arange(count) / (count - 1), atol=EPSILON)
            self.thresholds = None if count >= 3 and even else np.array([-EPSILON, *inner, 1 + EPSILON])
        else:
            self.thresholds = None  # evenly spaced
        self.count = count
        # Per label, weight of the positives and of the negatives above each threshold.
        self.counts: Values | None = None

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        labels = one_hot_labels(y_true, y_pred).astype(bool)
        weight = broadcast_weight(sample_weight, y_pred.shape)
        if self.metric.from_logits:
            y_pred = 1 / (1 + np.exp(-y_pred))
        if self.metric.multi_label:
            if y_pred.ndim != 2 or self.metric.num_labels not in (None, y_pred.shape[1]):
                raise SpecError(f"AUC(multi_label=True) needs predictions [n, {self.metric.num_labels or 'labels'}], "
                                f"got {y_pred.shape}.")
            columns = [np.stack(self._above(*column)) for column in zip(labels.T, y_pred.T, weight.T, strict=True)]
        else:
            if self.metric.label_weights is not None:
                weight = weight * np.asarray(self.metric.label_weights)
            columns = [np.stack(self._above(labels.ravel(), y_pred.ravel(), weight.ravel()))]
        counts = np.stack(columns)
        self.counts = counts if self.counts is None else self.counts + counts

    def _above(self, labels: Values, y_pred: Values, weight: Values) -> tuple[Values, Values]:
        """([thresholds] weight of the positives above each threshold, of the negatives)."""
        if self.thresholds is not None:
            above = (y_pred > self.thresholds[:, None].astype(y_pred.dtype)) * weight
            return (above * labels).sum(axis=1), (above * ~labels).sum(axis=1)
        # In the predictions' own dtype, as Keras does: the bucket of a value at an edge depends on it.
        scaled = np.clip(y_pred, 0, 1) * y_pred.dtype.type(self.count - 1)
        bucket = np.maximum(np.ceil(scaled) - 1, 0).astype(np.int64)
        positives = np.bincount(bucket, weight * labels, self.count)
        negatives = np.bincount(bucket, weight * ~labels, self.count)
        return np.cumsum(positives[::-1])[::-1], np.cumsum(negatives[::-1])[::-1]

    def result(self) -> float:
        if self.counts is None:
            return 0.0
        areas = np.array([self._area(*counts) for counts in self.counts])
        if not self.metric.multi_label or self.metric.label_weights is None:
            return float(areas.mean())
        weights = np.asarray(self.metric.label_weights)
        return float(divide_no_nan((areas * weights).sum(), weights.sum()))

    def _area(self, true_positives: Values, false_positives: Values) -> float:
        positives, negatives = true_positives[0], false_positives[0]
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
