"""Keras's precision, recall, F-scores and areas under curves, as data (confusion_metrics.py, f_score_metrics.py)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.errors import SpecError
from harness.spec.metric_base import Count, Metric, Threshold


class Precision(Metric):
    """True positives / predicted positives, over all entries or those of `class_id`; one number per threshold."""

    thresholds: Threshold | tuple[Threshold, ...] | None = None
    top_k: Count | None = None
    class_id: Annotated[int, Field(ge=0)] | None = None


class Recall(Metric):
    """True positives / positives, over all entries or those of `class_id`; one number per threshold."""

    thresholds: Threshold | tuple[Threshold, ...] | None = None
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


class AUC(Metric):
    """Area under the ROC or precision-recall curve, over fixed thresholds as Keras computes it.

    thresholds: those between 0 and 1, in place of num_thresholds evenly spaced ones. multi_label: the areas of the
    single labels (predictions [n, num_labels]), averaged, with label_weights if there are any.
    """

    num_thresholds: Annotated[int, Field(ge=3)] = 200
    curve: Literal["ROC", "PR"] = "ROC"
    summation_method: Literal["interpolation", "minoring", "majoring"] = "interpolation"
    thresholds: tuple[Threshold, ...] | None = None
    multi_label: bool = False
    num_labels: Count | None = None
    label_weights: tuple[float, ...] | None = None
    from_logits: bool = False

    @model_validator(mode="after")
    def _labels_agree(self) -> AUC:
        if self.num_labels and not self.multi_label:
            raise SpecError("num_labels is for multi_label=True only.")
        return self

    @classmethod
    def default_name(cls) -> str:
        return "auc"
