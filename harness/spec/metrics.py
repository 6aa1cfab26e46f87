"""Keras's metrics as data (keras/src/metrics). training/metrics.py computes them, once for both frameworks.

A metric is reported under the name that Keras would give it: the text by which it was asked for ("acc"
stays "acc"), the `name` argument, or the class's name in snake case.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from harness.errors import SpecError
from harness.spec.configured import Family
from harness.spec.metric_base import Count, Metric

if TYPE_CHECKING:
    from harness.spec.confusion_metrics import AUC, F1Score, FBetaScore, Precision, Recall
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
        BinaryFocalCrossentropy,
        CategoricalCrossentropy,
        CategoricalFocalCrossentropy,
        CategoricalHinge,
        ConcordanceCorrelation,
        CosineSimilarity,
        Hinge,
        Huber,
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
    from harness.spec.sequence_metrics import BLEU, CharacterErrorRate, WordErrorRate

__all__ = [
    "AUC", "BLEU", "METRICS", "Accuracy", "AutomaticAccuracy", "BinaryAccuracy", "BinaryCrossentropy",
    "BinaryFocalCrossentropy", "BinaryIoU", "CategoricalAccuracy", "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy", "CategoricalHinge", "CharacterErrorRate", "ConcordanceCorrelation",
    "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives", "Hinge", "Huber", "IoU",
    "KLDivergence", "LogCoshError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanIoU", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Metric", "OneHotIoU", "OneHotMeanIoU", "PearsonCorrelation", "Perplexity",
    "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision", "RootMeanSquaredError",
    "SensitivityAtSpecificity", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity", "SquaredHinge", "TopKCategoricalAccuracy",
    "TrueNegatives", "TruePositives", "WordErrorRate", "metrics_by_name", "parse_metric",
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
    """1 - residual sum of squares / total sum of squares; with num_regressors adjusted for their number.

    Without class_aggregation, one number per column.
    """

    class_aggregation: Literal["uniform_average", "variance_weighted_average"] | None = "uniform_average"
    num_regressors: Annotated[int, Field(ge=0)] = 0

    @classmethod
    def default_name(cls) -> str:
        return "r2_score"


# Module -> its metrics: imported when one of them is first asked for.
LATER = {
    "harness.spec.confusion_metrics": ("AUC", "F1Score", "FBetaScore", "Precision", "Recall"),
    "harness.spec.count_metrics": (
        "BinaryIoU", "FalseNegatives", "FalsePositives", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU",
        "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity",
        "TrueNegatives", "TruePositives",
    ),
    "harness.spec.mean_metrics": (
        "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
        "CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "Hinge", "Huber", "KLDivergence",
        "LogCoshError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "PearsonCorrelation",
        "Perplexity", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge",
    ),
    "harness.spec.sequence_metrics": ("BLEU", "CharacterErrorRate", "WordErrorRate"),
}
METRICS: Family[Metric] = Family(
    "metric",
    (
        AutomaticAccuracy, Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy,
        TopKCategoricalAccuracy, SparseTopKCategoricalAccuracy, MeanSquaredError, MeanAbsoluteError,
        RootMeanSquaredError, R2Score,
    ),
    aliases={
        "accuracy": AutomaticAccuracy, "acc": AutomaticAccuracy, "mse": MeanSquaredError, "MSE": MeanSquaredError,
        "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError, "f1_score": "F1Score", "r2_score": R2Score,
        "fbeta_score": "FBetaScore", "mape": "MeanAbsolutePercentageError", "MAPE": "MeanAbsolutePercentageError",
        "msle": "MeanSquaredLogarithmicError", "MSLE": "MeanSquaredLogarithmicError", "bce": "BinaryCrossentropy",
        "BCE": "BinaryCrossentropy", "logcosh": "LogCoshError", "log_cosh": "LogCoshError", "wer": "WordErrorRate",
        "cer": "CharacterErrorRate", "kld": "KLDivergence", "KLD": "KLDivergence",
        "cosine_similarity": "CosineSimilarity",
    },
    later=LATER,
)

if not TYPE_CHECKING:  # a type checker sees the imports above

    def __getattr__(name):
        return METRICS.attribute(name, __name__)


# Arguments of Keras's metrics that a serialized one names and that are carried at their default only.
_AT_DEFAULT: dict[str, Any] = {"from_sorted_ids": False}
# Keras's metrics that are no function of labels and predictions.
_OF_VALUES = ("Mean", "Sum", "mean", "sum", "Metric")


def parse_metric(value: Any) -> Metric:
    """Reads a metric as METRICS does, keeping the name under which Keras would report it."""
    if isinstance(value, str):
        if value.lower() in ("accuracy", "acc"):
            return AutomaticAccuracy() if value == "accuracy" else AutomaticAccuracy(name=value)
        cls = METRICS.find(value)
        return cls() if value == cls.default_name() else cls(name=value)
    if isinstance(value, Mapping) and "class_name" in value:
        return _deserialized(value["class_name"], value.get("config"), value)
    return METRICS.parse(value)


def _deserialized(name: Any, config: Any, value: Any) -> Metric:
    """What keras.metrics.serialize made of a metric, or of a function that Keras makes one of."""
    if name == "function" and isinstance(config, str):
        return parse_metric(config)
    if name in _OF_VALUES:
        raise SpecError(f"{name} is a metric of given values and not of labels and predictions.",
                        hint="The log's loss is the mean over the epoch; name a metric of labels and predictions.")
    config = dict(config or {})
    if name == "MeanMetricWrapper":
        inner = parse_metric(config.pop("fn", None))
        arguments = {**inner.config(), **config}
        return METRICS.parse({"class_name": type(inner).__name__, "config": _without_defaults(arguments)})
    if isinstance(config.get("label_weights"), Mapping):  # an array of its own in Keras
        config["label_weights"] = config["label_weights"].get("config", {}).get("value")
    return METRICS.parse({**value, "config": _without_defaults(config)})


def _without_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """A serialized Keras metric's arguments without what the harness carries at its default only."""
    kept = {key: item for key, item in config.items() if key != "dtype"}
    for key, default in _AT_DEFAULT.items():
        if kept.pop(key, default) != default:
            raise SpecError(f"the argument {key!r} is not supported.", hint=f"Leave it at {default!r}.")
    return kept


def metrics_by_name(
    metrics: Iterable[Metric], output: str | None = None, taken: Iterable[str] = ()
) -> dict[str, Metric]:
    """{reported name: metric}, as Keras names an output's metrics in its log: with an index where two share a name.

    taken: the names of the metrics before them, for weighted ones (compile_utils.py: CompileMetrics.result).
    """
    named: dict[str, Metric] = {}
    prefix = f"{output}_" if output else ""
    seen = dict.fromkeys(taken, 1)
    for metric in metrics:
        name = prefix + metric.reported_name
        if name in taken:
            name = f"{prefix}weighted_{metric.reported_name}"
        count = seen.get(name, 0)
        seen[name] = count + 1
        named[f"{name}_{count}" if count else name] = metric
    return named
