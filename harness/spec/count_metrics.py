"""Keras's metrics from counts over the whole set, as data (confusion_metrics.py, iou_metrics.py)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from harness.errors import SpecError
from harness.spec.metric_base import Count, Metric, Threshold

Class = Annotated[int, Field(ge=0)]


class _Counts(Metric):
    """One number per threshold where several are given."""

    thresholds: Threshold | tuple[Threshold, ...] | None = None


class TruePositives(_Counts):
    """How many entries that are 1 are predicted above the threshold (0.5)."""


class TrueNegatives(_Counts):
    """How many entries that are 0 are not predicted above the threshold (0.5)."""


class FalsePositives(_Counts):
    """How many entries that are 0 are predicted above the threshold (0.5)."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class FalseNegatives(_Counts):
    """How many entries that are 1 are not predicted above the threshold (0.5)."""

    direction: ClassVar[Literal["up", "down"]] = "down"


class SensitivityAtSpecificity(Metric):
    """The best sensitivity among the thresholds whose specificity is at least `specificity`."""

    specificity: Threshold
    num_thresholds: Count = 200
    class_id: Class | None = None


class SpecificityAtSensitivity(Metric):
    """The best specificity among the thresholds whose sensitivity is at least `sensitivity`."""

    sensitivity: Threshold
    num_thresholds: Count = 200
    class_id: Class | None = None


class PrecisionAtRecall(Metric):
    """The best precision among the thresholds whose recall is at least `recall`."""

    recall: Threshold
    num_thresholds: Count = 200
    class_id: Class | None = None


class RecallAtPrecision(Metric):
    """The best recall among the thresholds whose precision is at least `precision`."""

    precision: Threshold
    num_thresholds: Count = 200
    class_id: Class | None = None


class _Overlap(Metric):
    """Intersection over union, averaged over the classes that occur. As in Keras, weights count as integers."""

    def counted(self) -> tuple[int, tuple[int, ...]]:
        """(number of classes, the classes that are averaged over)."""
        raise NotImplementedError


class _Classes(_Overlap):
    num_classes: Count
    target_class_ids: tuple[Class, ...]
    ignore_class: int | None = None
    axis: Literal[-1] = -1

    @model_validator(mode="after")
    def _targets_are_classes(self) -> _Classes:
        if not self.target_class_ids or max(self.target_class_ids) >= self.num_classes:
            raise SpecError(f"target_class_ids must be classes from 0 to {self.num_classes - 1}, "
                            f"got {list(self.target_class_ids)}.")
        return self

    def counted(self) -> tuple[int, tuple[int, ...]]:
        return self.num_classes, self.target_class_ids


class IoU(_Classes):
    """Intersection over union of the classes target_class_ids; labels and predictions are class numbers where they
    are said to be sparse, else one value per class."""

    sparse_y_true: bool = True
    sparse_y_pred: bool = True


class OneHotIoU(_Classes):
    """IoU with one-hot labels and, unless they are sparse, one prediction per class."""

    sparse_y_pred: bool = False


class BinaryIoU(_Overlap):
    """IoU of the classes 0 and 1; predictions of at least `threshold` are 1."""

    target_class_ids: tuple[Annotated[int, Field(ge=0, le=1)], ...] = (0, 1)
    threshold: Threshold = 0.5

    def counted(self) -> tuple[int, tuple[int, ...]]:
        return 2, self.target_class_ids


class _AllClasses(_Overlap):
    num_classes: Count
    ignore_class: int | None = None
    axis: Literal[-1] = -1

    def counted(self) -> tuple[int, tuple[int, ...]]:
        return self.num_classes, tuple(range(self.num_classes))


class MeanIoU(_AllClasses):
    """IoU averaged over all classes that occur."""

    sparse_y_true: bool = True
    sparse_y_pred: bool = True


class OneHotMeanIoU(_AllClasses):
    """MeanIoU with one-hot labels and, unless they are sparse, one prediction per class."""

    sparse_y_pred: bool = False
