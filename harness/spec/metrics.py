"""Keras's metrics as data (keras/src/metrics). training/metrics.py computes them, once for both frameworks.

A metric is reported under the name that Keras would give it: the text by which it was asked for ("acc"
stays "acc"), the `name` argument, or the class's name in snake case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from harness.errors import SpecError
from harness.spec.configured import Family
from harness.spec.count_metrics import (
    BinaryIoU,
    FalseNegatives,
    FalsePositives,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from harness.spec.mean_metrics import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    Perplexity,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from harness.spec.metric_base import Count, Metric, Threshold

__all__ = [
    "AUC", "METRICS", "Accuracy", "AutomaticAccuracy", "BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU",
    "CategoricalAccuracy", "CategoricalCrossentropy", "CategoricalHinge", "ConcordanceCorrelation",
    "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives", "Hinge", "IoU",
    "KLDivergence", "LogCoshError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanIoU",
    "MeanSquaredError", "MeanSquaredLogarithmicError", "Metric", "OneHotIoU", "OneHotMeanIoU",
    "PearsonCorrelation", "Perplexity", "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall",
    "RecallAtPrecision", "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity",
    "SquaredHinge", "TopKCategoricalAccuracy", "TrueNegatives", "TruePositives", "metrics_by_name",
    "parse_metric",
]


class AutomaticAccuracy(Metric):
    """"accuracy": binary, categorical or sparse categorical, by the shapes (trainers/compile_utils.py)."""

    @classmethod
    def canonical_name(cls) -> str:
        return "accuracy"

    @classmethod
    def default_name(cls) -> str:
        return "accuracy"


class Accuracy(Metric):
    """The share of predictions that equal their label, number for number."""

    def to_data(self) -> Any:
        # The bare word "Accuracy" means AutomaticAccuracy, in Keras too.
        return {"Accuracy": self.config()}


class BinaryAccuracy(Metric):
    """The share of predictions on their label's side of the threshold (> threshold is 1)."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5


class CategoricalAccuracy(Metric):
    """The share of examples whose largest prediction is the class of the one-hot label."""


class SparseCategoricalAccuracy(Metric):
    """The share of examples whose largest prediction is the class of the integer label."""


class TopKCategoricalAccuracy(Metric):
    """The share of examples whose one-hot label is among the k largest predictions (ties count)."""

    k: Count = 5


class SparseTopKCategoricalAccuracy(Metric):
    """The share of examples whose integer label is among the k largest predictions (ties count)."""

    k: Count = 5


class Precision(Metric):
    """True positives / predicted positives, over all entries or those of `class_id`."""

    thresholds: Threshold | None = None
    top_k: Count | None = None
    class_id: Annotated[int, Field(ge=0)] | None = None


class Recall(Metric):
    """True positives / positives, over all entries or those of `class_id`."""

    thresholds: Threshold | None = None
    top_k: Count | None = None
    class_id: Annotated[int, Field(ge=0)] | None = None


class F1Score(Metric):
    """Harmonic mean of precision and recall. Without `average`, one number per class: f1_score_0, f1_score_1..."""

    average: Literal["micro", "macro", "weighted"] | None = None
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None

    @classmethod
    def default_name(cls) -> str:
        return "f1_score"


class FBetaScore(Metric):
    """Weighted harmonic mean of precision and recall: recall counts `beta` times as much."""

    average: Literal["micro", "macro", "weighted"] | None = None
    beta: Annotated[float, Field(gt=0)] = 1.0
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None

    @classmethod
    def default_name(cls) -> str:
        return "fbeta_score"


class MeanSquaredError(Metric):
    """(y - p)^2, averaged over everything."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class MeanAbsoluteError(Metric):
    """|y - p|, averaged over everything."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class RootMeanSquaredError(Metric):
    """Square root of the mean squared error of the whole set."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class R2Score(Metric):
    """1 - residual sum of squares / total sum of squares."""

    class_aggregation: Literal["uniform_average", "variance_weighted_average"] = "uniform_average"

    @classmethod
    def default_name(cls) -> str:
        return "r2_score"


class AUC(Metric):
    """Area under the ROC or precision-recall curve, over fixed thresholds as Keras computes it."""

    num_thresholds: Annotated[int, Field(ge=3)] = 200
    curve: Literal["ROC", "PR"] = "ROC"
    summation_method: Literal["interpolation", "minoring", "majoring"] = "interpolation"
    from_logits: bool = False

    @classmethod
    def default_name(cls) -> str:
        return "auc"


METRICS: Family[Metric] = Family(
    "metric",
    (
        AutomaticAccuracy, Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy,
        TopKCategoricalAccuracy, SparseTopKCategoricalAccuracy, Precision, Recall, F1Score, MeanSquaredError,
        MeanAbsoluteError, RootMeanSquaredError, R2Score, AUC, FBetaScore, MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError, LogCoshError, CosineSimilarity, PearsonCorrelation, ConcordanceCorrelation,
        Hinge, SquaredHinge, CategoricalHinge, Poisson, KLDivergence, BinaryCrossentropy, CategoricalCrossentropy,
        SparseCategoricalCrossentropy, Perplexity, TruePositives, TrueNegatives, FalsePositives, FalseNegatives,
        SensitivityAtSpecificity, SpecificityAtSensitivity, PrecisionAtRecall, RecallAtPrecision, IoU, BinaryIoU,
        MeanIoU, OneHotIoU, OneHotMeanIoU,
    ),
    aliases={
        "accuracy": AutomaticAccuracy, "acc": AutomaticAccuracy, "mse": MeanSquaredError, "MSE": MeanSquaredError,
        "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError, "f1_score": F1Score, "r2_score": R2Score,
        "fbeta_score": FBetaScore, "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError, "MSLE": MeanSquaredLogarithmicError, "bce": BinaryCrossentropy,
        "BCE": BinaryCrossentropy, "logcosh": LogCoshError,
    },
)

# Arguments of Keras's metrics that a serialized one names and that are carried at their default only.
_AT_DEFAULT: dict[str, Any] = {
    "from_sorted_ids": False, "num_regressors": 0, "multi_label": False, "num_labels": None, "label_weights": None,
}


def parse_metric(value: Any) -> Metric:
    """Reads a metric as METRICS does, keeping the name under which Keras would report it."""
    if isinstance(value, str):
        if value.lower() in ("accuracy", "acc"):
            return AutomaticAccuracy() if value == "accuracy" else AutomaticAccuracy(name=value)
        cls = METRICS.find(value)
        return cls() if value == cls.default_name() else cls(name=value)
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        return METRICS.parse({"class_name": value.get("class_name"), "config": _without_defaults(value["config"])})
    return METRICS.parse(value)


def _without_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """A serialized Keras metric's arguments without what the harness carries at its default only."""
    kept = {key: item for key, item in config.items() if key != "dtype"}
    for key, default in _AT_DEFAULT.items():
        if kept.pop(key, default) != default:
            raise SpecError(f"the argument {key!r} is not supported.", hint=f"Leave it at {default!r}.")
    return kept


def metrics_by_name(metrics: Iterable[Metric], output: str | None = None) -> dict[str, Metric]:
    """{reported name: metric}, as Keras names an output's metrics in its log (an index where two share a name)."""
    named: dict[str, Metric] = {}
    seen: dict[str, int] = {}
    for metric in metrics:
        name = f"{output}_{metric.reported_name}" if output else metric.reported_name
        count = seen.get(name, 0)
        seen[name] = count + 1
        named[f"{name}_{count}" if count else name] = metric
    return named
