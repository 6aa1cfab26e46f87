"""Keras's metrics that are the mean of a value per example, as data (regression_metrics.py, hinge_metrics.py,
probabilistic_metrics.py, correlation_metrics.py), and perplexity, which Keras does not have."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.spec.metric_base import Metric

Smoothing = Annotated[float, Field(ge=0, le=1)]


class MeanAbsolutePercentageError(Metric):
    """100 |y - p| / max(|y|, 1e-7), averaged over everything."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class MeanSquaredLogarithmicError(Metric):
    """(log(p + 1) - log(y + 1))^2, averaged over everything; y and p are at least 1e-7."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class LogCoshError(Metric):
    """log(cosh(p - y)), averaged over everything."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    @classmethod
    def default_name(cls) -> str:
        return "logcosh"


class CosineSimilarity(Metric):
    """y p / (|y| |p|) along `axis`: 1 where they have the same direction."""

    axis: int = -1


class PearsonCorrelation(Metric):
    """The correlation of y and p along `axis`, averaged over the examples."""

    axis: int = -1


class ConcordanceCorrelation(Metric):
    """The concordance correlation coefficient along `axis`, averaged over the examples."""

    axis: int = -1


class Hinge(Metric):
    """max(1 - y p, 0); labels are -1 and 1, or 0 and 1."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class SquaredHinge(Metric):
    """max(1 - y p, 0)^2; labels are -1 and 1, or 0 and 1."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class CategoricalHinge(Metric):
    """max(largest p of the wrong classes - p of the true class + 1, 0); labels are one-hot."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class Poisson(Metric):
    """p - y log(p + 1e-7), averaged over everything."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class KLDivergence(Metric):
    """sum(y log(y / p)) over the last axis, y and p clipped to [1e-7, 1]."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class BinaryCrossentropy(Metric):
    """-(y log p + (1 - y) log(1 - p)), averaged over everything; p is clipped to [1e-7, 1 - 1e-7]."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    from_logits: bool = False
    label_smoothing: Smoothing = 0.0


class CategoricalCrossentropy(Metric):
    """-sum(y log p) over the class axis; p is clipped to [1e-7, 1 - 1e-7]."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    from_logits: bool = False
    label_smoothing: Smoothing = 0.0
    axis: int = -1


class SparseCategoricalCrossentropy(Metric):
    """-log p[label]; p is clipped to [1e-7, 1 - 1e-7]. As in Keras, elements labelled `ignore_class` are 0,
    and do not count where there is a mask."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    from_logits: bool = False
    ignore_class: int | None = None
    axis: Literal[-1] = -1


class Huber(Metric):
    """Squared up to an error of `delta`, linear beyond it (keras.metrics.huber)."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    delta: Annotated[float, Field(gt=0)] = 1.0


class BinaryFocalCrossentropy(Metric):
    """Binary cross-entropy times (1 - p of the true class)^gamma (keras.metrics.binary_focal_crossentropy)."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    apply_class_balancing: bool = False
    alpha: Smoothing = 0.25
    gamma: Annotated[float, Field(ge=0)] = 2.0
    from_logits: bool = False
    label_smoothing: Smoothing = 0.0


class CategoricalFocalCrossentropy(Metric):
    """-alpha (1 - p)^gamma y log p, summed over the classes (keras.metrics.categorical_focal_crossentropy)."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    alpha: Smoothing = 0.25
    gamma: Annotated[float, Field(ge=0)] = 2.0
    from_logits: bool = False
    label_smoothing: Smoothing = 0.0


class Perplexity(Metric):
    """exp of the mean of -log p[label] over the set; labels are integers, those of `ignore_class` do not count."""

    direction: ClassVar[Literal["up", "down"]] = "down"

    from_logits: bool = False
    ignore_class: int | None = None
