"""Keras's metrics in NumPy: one implementation for both frameworks (keras/src/metrics; semantics.md 10).

A `MetricSet` is fed the labels and predictions of one output, batch by batch, and reports under Keras's names.
Sums are kept in float64. Shapes: labels [n, ...], predictions [n, ..., classes], weights [n] or [n, ...].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import SpecError
from harness.spec import metrics as spec
from harness.spec.sequence_metrics import BLEU, CharacterErrorRate, WordErrorRate
from harness.training import accuracies
from harness.training import element_metrics as elements
from harness.training import sequence_metrics as sequences
from harness.training.confusion_metrics import FBeta, PrecisionOrRecall
from harness.training.curve_metrics import AreaUnderCurve
from harness.training.ranks import same_rank
from harness.training.threshold_metrics import AtThresholds, BestAtConstraint, CountOf, Overlap

Values = NDArray[Any]


class Mean:
    """Sum of the examples' values over the number of examples, or over the sum of their weights."""

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0.0

    def add(self, values: Values, sample_weight: Values | None) -> None:
        """values: [n, ...]; sample_weight: [n] or more axes (metrics/reduction_metrics.py)."""
        values = np.asarray(values, np.float64)
        if sample_weight is None:
            self.total += float(values.reshape(len(values), -1).mean(axis=1).sum()) if len(values) else 0.0
            self.count += len(values)
            return
        values, weight = same_rank(values, np.asarray(sample_weight, np.float64))
        if values.ndim > weight.ndim:
            values = values.mean(axis=tuple(range(weight.ndim, values.ndim)))
        weight = np.broadcast_to(weight, values.shape)
        self.total += float((values * weight).reshape(len(values), -1).mean(axis=1).sum())
        self.count += float(weight.reshape(len(weight), -1).mean(axis=1).sum())

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0


class MeanOf:
    """The mean of a function of labels and predictions (MeanMetricWrapper: the output's mask counts)."""

    def __init__(self, function: Callable[[Values, Values], Values]) -> None:
        self.function = function
        self.mean = Mean()

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        if mask is not None:
            mask = np.asarray(mask, np.float64)
            if sample_weight is not None:
                mask, weight = same_rank(mask, np.asarray(sample_weight, np.float64))
                mask = mask * weight.reshape(weight.shape + (1,) * (mask.ndim - weight.ndim))
            sample_weight = mask
        self.mean.add(self.function(y_true, y_pred), sample_weight)

    def result(self) -> float:
        return self.mean.result()


class SparseCrossentropy(MeanOf):
    """The mean of -log p[label]. Keras leaves ignored labels out where there are weights or a mask; else they are 0."""

    leaves_out = False

    def __init__(self, metric: spec.SparseCategoricalCrossentropy | spec.Perplexity) -> None:
        self.ignored = metric.ignore_class
        super().__init__(
            lambda t, p: elements.sparse_categorical_crossentropy(t, p, metric.from_logits, metric.ignore_class)
        )

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        masked = self.leaves_out or sample_weight is not None or mask is not None
        if self.ignored is not None and masked:
            valid = y_true.reshape(y_pred.shape[:-1]) != self.ignored
            mask = valid if mask is None else valid & np.asarray(mask, bool)
        super().update(y_true, y_pred, sample_weight, mask)


class Perplexity(SparseCrossentropy):
    """exp of that mean, over the labels that are not ignored."""

    leaves_out = True

    def result(self) -> float:
        return float(np.exp(super().result()))


class RootMeanSquaredError:
    """Square root of the mean over the whole set; Keras's does not look at the mask."""

    def __init__(self) -> None:
        self.mean = Mean()

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        y_true, y_pred = same_rank(np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64))
        self.mean.add(np.square(y_pred - y_true), sample_weight)

    def result(self) -> float:
        return float(np.sqrt(self.mean.result()))


class R2:
    """Coefficient of determination per column, then averaged (metrics/regression_metrics.py: R2Score)."""

    def __init__(self, metric: spec.R2Score) -> None:
        self.aggregation, self.regressors = metric.class_aggregation, metric.num_regressors
        self.sums: Values | None = None
        self.examples = 0

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        y_true, y_pred = same_rank(np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64))
        if y_true.ndim == 1:
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        if y_true.ndim != 2 or y_true.shape != y_pred.shape:
            raise SpecError(f"r2_score needs [n, columns] twice, got {y_true.shape} and {y_pred.shape}.")
        self.examples += y_true.size  # Keras counts entries
        weight = np.ones(1) if sample_weight is None else np.asarray(sample_weight, np.float64)
        weight = np.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, y_true.shape)
        error = np.square(y_true - y_pred) * weight
        sums = np.stack([part.sum(axis=0) for part in (weight, y_true * weight, y_true**2 * weight, error)])
        self.sums = sums if self.sums is None else self.sums + sums

    def result(self) -> Any:
        if self.sums is None:
            return 0.0
        count, total, squares, error = self.sums
        with np.errstate(all="ignore"):
            variation = squares - total * (total / count)
            scores = 1.0 - error / variation
            scores = np.where(np.isinf(scores), 0.0, scores)
            if self.aggregation == "variance_weighted_average":
                scores = (variation * scores).sum() / variation.sum()
            elif self.aggregation is not None:
                scores = scores.mean()
        # Keras adjusts only where there are more examples than regressors and one.
        free = self.examples - self.regressors - 1
        if self.regressors and free > 0:
            scores = 1.0 - (1.0 - scores) * (self.examples - 1) / free
        return scores if np.ndim(scores) else float(scores)


def precision_or_recall(metric: Any, which: Literal["precision", "recall"]) -> Any:
    if isinstance(metric.thresholds, tuple):
        return AtThresholds(metric, which)
    return PrecisionOrRecall(metric, which)


def automatic_accuracy(y_true_shape: tuple[int, ...], y_pred_shape: tuple[int, ...]) -> spec.Metric:
    """What "accuracy" means for these shapes (trainers/compile_utils.py: get_metric)."""
    if y_pred_shape[-1] == 1:
        return spec.BinaryAccuracy()
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return spec.SparseCategoricalAccuracy()
    return spec.CategoricalAccuracy()


class MetricSet:
    """The metrics of one output.

    metrics: specs. output: the output's name where the model has several; it then prefixes the metrics' names.
    weighted: the metrics in which sample weights count; without any mention of them (None), they count in all.
    """

    def __init__(
        self, metrics: Iterable[spec.Metric], output: str | None = None, weighted: Iterable[spec.Metric] | None = None
    ) -> None:
        plain = spec.metrics_by_name(metrics, output)
        heavy = spec.metrics_by_name(weighted or (), output, plain)
        self.metrics = plain | heavy
        self.weighted = set(plain if weighted is None else heavy)
        self._states: dict[str, Any] = {}

    def update(
        self, y_true: Values, y_pred: Values, sample_weight: Values | None = None, mask: Values | None = None
    ) -> None:
        """Adds a batch: labels, predictions, and, if there are any, weights and the output's mask."""
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
        if len(y_true) != len(y_pred):
            raise SpecError(f"{len(y_true)} labels and {len(y_pred)} predictions do not make a batch.")
        for name, metric in self.metrics.items():
            if name not in self._states:
                if isinstance(metric, spec.AutomaticAccuracy):
                    metric = automatic_accuracy(y_true.shape, y_pred.shape)
                self._states[name] = METRICS[type(metric)](metric)
            self._states[name].update(y_true, y_pred, sample_weight if name in self.weighted else None, mask)

    def result(self) -> dict[str, float]:
        """{reported name: value} since the last reset; a metric with one value per class reports name_0, name_1..."""
        results: dict[str, float] = {}
        for name in self.metrics:
            value = self._states[name].result() if name in self._states else 0.0
            if isinstance(value, np.ndarray) and value.ndim:
                results.update({f"{name}_{index}": float(item) for index, item in enumerate(value)})
            else:
                results[name] = float(value)
        return results

    def reset(self) -> None:
        self._states.clear()


METRICS: dict[type[spec.Metric], Callable[[Any], Any]] = {
    spec.Accuracy: lambda metric: MeanOf(accuracies.equal),
    spec.BinaryAccuracy: lambda metric: MeanOf(lambda t, p: accuracies.binary_accuracy(t, p, metric.threshold)),
    spec.CategoricalAccuracy: lambda metric: MeanOf(accuracies.categorical_accuracy),
    spec.SparseCategoricalAccuracy: lambda metric: MeanOf(accuracies.sparse_categorical_accuracy),
    spec.TopKCategoricalAccuracy: lambda metric: MeanOf(
        lambda t, p: accuracies.top_k_categorical_accuracy(t, p, metric.k)
    ),
    spec.SparseTopKCategoricalAccuracy: lambda metric: MeanOf(
        lambda t, p: accuracies.sparse_top_k_categorical_accuracy(t, p, metric.k)
    ),
    spec.Precision: lambda metric: precision_or_recall(metric, "precision"),
    spec.Recall: lambda metric: precision_or_recall(metric, "recall"),
    spec.F1Score: lambda metric: FBeta(metric, 1.0),
    spec.FBetaScore: lambda metric: FBeta(metric, metric.beta),
    spec.MeanSquaredError: lambda metric: MeanOf(accuracies.squared_error),
    spec.MeanAbsoluteError: lambda metric: MeanOf(accuracies.absolute_error),
    spec.RootMeanSquaredError: lambda metric: RootMeanSquaredError(),
    spec.R2Score: R2,
    spec.AUC: AreaUnderCurve,
    spec.MeanAbsolutePercentageError: lambda metric: MeanOf(elements.percentage_error),
    spec.MeanSquaredLogarithmicError: lambda metric: MeanOf(elements.squared_logarithmic_error),
    spec.LogCoshError: lambda metric: MeanOf(elements.log_cosh),
    spec.CosineSimilarity: lambda metric: MeanOf(lambda t, p: elements.cosine_similarity(t, p, metric.axis)),
    spec.PearsonCorrelation: lambda metric: MeanOf(lambda t, p: elements.pearson_correlation(t, p, metric.axis)),
    spec.ConcordanceCorrelation: lambda metric: MeanOf(
        lambda t, p: elements.concordance_correlation(t, p, metric.axis)
    ),
    spec.Hinge: lambda metric: MeanOf(elements.hinge),
    spec.SquaredHinge: lambda metric: MeanOf(elements.squared_hinge),
    spec.CategoricalHinge: lambda metric: MeanOf(elements.categorical_hinge),
    spec.Poisson: lambda metric: MeanOf(elements.poisson),
    spec.KLDivergence: lambda metric: MeanOf(elements.kl_divergence),
    spec.BinaryCrossentropy: lambda metric: MeanOf(
        lambda t, p: elements.binary_crossentropy(t, p, metric.from_logits, metric.label_smoothing)
    ),
    spec.CategoricalCrossentropy: lambda metric: MeanOf(
        lambda t, p: elements.categorical_crossentropy(t, p, metric.from_logits, metric.label_smoothing, metric.axis)
    ),
    spec.SparseCategoricalCrossentropy: SparseCrossentropy,
    spec.Perplexity: Perplexity,
    spec.Huber: lambda metric: MeanOf(lambda t, p: elements.huber(t, p, metric.delta)),
    spec.BinaryFocalCrossentropy: lambda metric: MeanOf(lambda t, p: elements.binary_focal_crossentropy(
        t, p, metric.from_logits, metric.label_smoothing, metric.gamma,
        metric.alpha if metric.apply_class_balancing else None,
    )),
    spec.CategoricalFocalCrossentropy: lambda metric: MeanOf(lambda t, p: elements.categorical_focal_crossentropy(
        t, p, metric.from_logits, metric.label_smoothing, metric.gamma, metric.alpha,
    )),
    BLEU: sequences.BLEU,
    WordErrorRate: sequences.ErrorRate,
    CharacterErrorRate: sequences.ErrorRate,
    spec.TruePositives: lambda metric: CountOf(metric, "true_positives"),
    spec.TrueNegatives: lambda metric: CountOf(metric, "true_negatives"),
    spec.FalsePositives: lambda metric: CountOf(metric, "false_positives"),
    spec.FalseNegatives: lambda metric: CountOf(metric, "false_negatives"),
    spec.SensitivityAtSpecificity: lambda metric: BestAtConstraint(
        metric, "specificity", metric.specificity, "sensitivity"
    ),
    spec.SpecificityAtSensitivity: lambda metric: BestAtConstraint(
        metric, "sensitivity", metric.sensitivity, "specificity"
    ),
    spec.PrecisionAtRecall: lambda metric: BestAtConstraint(metric, "recall", metric.recall, "precision"),
    spec.RecallAtPrecision: lambda metric: BestAtConstraint(metric, "precision", metric.precision, "recall"),
    spec.IoU: Overlap,
    spec.BinaryIoU: Overlap,
    spec.MeanIoU: Overlap,
    spec.OneHotIoU: Overlap,
    spec.OneHotMeanIoU: Overlap,
}
