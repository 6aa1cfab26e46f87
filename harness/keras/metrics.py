"""keras.metrics: the metrics as data. The functions stand for their classes, as `compile(metrics=...)` takes them."""

from __future__ import annotations

from typing import Any

from harness.keras.refusals import namespace
from harness.spec.metrics import METRICS, Metric, parse_metric


def get(identifier: Any) -> Metric:
    """A metric from its name, its configuration, or itself."""
    return parse_metric(identifier)


_CLASSES = {name: cls for name, cls in METRICS.classes.items() if name != "accuracy"}
_FUNCTIONS = {
    name: METRICS.find(name) for name in (
        "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "top_k_categorical_accuracy",
        "sparse_top_k_categorical_accuracy", "mean_squared_error", "mean_absolute_error",
    )
}
_KNOWN = (
    "BinaryCrossentropy", "BinaryIoU", "CategoricalCrossentropy", "CategoricalHinge", "CosineSimilarity", "FBetaScore",
    "FalseNegatives", "FalsePositives", "Hinge", "IoU", "KLDivergence", "LogCoshError", "Mean",
    "MeanAbsolutePercentageError", "MeanIoU", "MeanSquaredLogarithmicError", "OneHotIoU", "OneHotMeanIoU",
    "PearsonCorrelation", "Poisson", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity",
    "SparseCategoricalCrossentropy", "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TrueNegatives",
    "TruePositives", "deserialize", "serialize",
)

__getattr__, __dir__ = namespace(
    "keras.metrics", {**_CLASSES, **_FUNCTIONS, "Metric": Metric, "get": get}, _KNOWN,
    hint=f"Use one of {', '.join(_CLASSES)}.",
)
