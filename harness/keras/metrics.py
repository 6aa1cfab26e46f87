"""keras.metrics: the metrics as data. The functions stand for their classes, as `compile(metrics=...)` takes them."""

from __future__ import annotations

from typing import Any

from harness.keras.refusals import namespace
from harness.spec.metrics import METRICS, Metric, parse_metric


def get(identifier: Any) -> Metric:
    """A metric from its name, its configuration, or itself."""
    return parse_metric(identifier)


def mean_of(fn: Any, name: str | None = None, dtype: None = None, **arguments: Any) -> Metric:
    """Keras's MeanMetricWrapper: the metric that is the mean of one of Keras's functions."""
    cls = METRICS.find(fn if isinstance(fn, str) else getattr(fn, "__name__", fn))
    return cls(**arguments, **({"name": name} if name else {}), dtype=dtype)


_OURS = ("accuracy", "Perplexity", "BLEU", "WordErrorRate", "CharacterErrorRate", "Huber", "BinaryFocalCrossentropy",
         "CategoricalFocalCrossentropy")
_CLASSES = {name: cls for name, cls in METRICS.classes.items() if name not in _OURS}
_FUNCTIONS = {
    name: METRICS.find(name) for name in (
        "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "top_k_categorical_accuracy",
        "sparse_top_k_categorical_accuracy", "mean_squared_error", "mean_absolute_error",
        "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "hinge", "squared_hinge",
        "categorical_hinge", "poisson", "kl_divergence", "binary_crossentropy", "categorical_crossentropy",
        "sparse_categorical_crossentropy", "pearson_correlation", "concordance_correlation", "huber", "log_cosh",
        "binary_focal_crossentropy", "categorical_focal_crossentropy",
    )
}
_KNOWN = ("Mean", "Sum", "serialize")

__getattr__, __dir__ = namespace(
    "keras.metrics",
    {**_CLASSES, **_FUNCTIONS, "MeanMetricWrapper": mean_of, "Metric": Metric, "get": get, "deserialize": get}, _KNOWN,
    hint=f"Use one of {', '.join(_CLASSES)}.",
)
