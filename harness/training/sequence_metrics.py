"""BLEU and error rates over sequences of ids, by sacrebleu and RapidFuzz, imported when they are asked for."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import SpecError
from harness.spec import sequence_metrics as spec

Values = NDArray[Any]
Sequences = list[list[int]]


def library(name: str, metric: spec.SequenceMetric) -> Any:
    """The module. Raises SpecError with the way to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SpecError(f"the metric {metric.reported_name!r} is computed by {name.partition('.')[0]}, which is not "
                        "installed.", hint="pip install 'harness[text]'") from None


def decoded(metric: spec.SequenceMetric, ids: Values, mask: Values | None, predicted: bool) -> Sequences:
    """The sequences that count. ids: [n, length]; mask: [n, length], True where a step counts, or None."""
    sequences = []
    for row, items in enumerate(ids.tolist()):
        kept = items if mask is None else [item for item, valid in zip(items, mask[row], strict=True) if valid]
        if predicted and metric.decode == "ctc":
            kept = [item for place, item in enumerate(kept) if item and (place == 0 or item != kept[place - 1])]
        if metric.end is not None and metric.end in kept:
            kept = kept[: kept.index(metric.end)]
        sequences.append([int(item) for item in kept if item != metric.ignore_class])
    return sequences


class SequencePairs:
    """Base: the pairs of a batch as (labels, predictions, weight)."""

    def __init__(self, metric: Any) -> None:
        self.metric: spec.SequenceMetric = metric

    def pairs(
        self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None
    ) -> tuple[Sequences, Sequences, Values]:
        if y_true.ndim != 2 or y_pred.ndim not in (2, 3):
            raise SpecError(
                f"{self.metric.reported_name} compares labels [n, length] with predictions [n, steps, ids] or "
                f"[n, steps], got {y_true.shape} and {y_pred.shape}.")
        ids = y_pred.argmax(axis=-1) if y_pred.ndim == 3 else y_pred
        mask = None if mask is None else np.asarray(mask, bool)
        weight = np.ones(len(y_true)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weight.reshape(len(y_true), -1).shape[1] != 1:
            raise SpecError(f"{self.metric.reported_name} takes one sample weight per example, got {weight.shape}.")
        return (decoded(self.metric, y_true, None, False), decoded(self.metric, ids, mask, True),
                weight.reshape(len(y_true)))


class ErrorRate(SequencePairs):
    """Edits over labels, both weighted; where there is no label, 0 without and infinity with a prediction."""

    def __init__(self, metric: Any) -> None:
        super().__init__(metric)
        self.distance = library("rapidfuzz.distance.Levenshtein", metric).distance
        self.edits, self.labels = 0.0, 0.0

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        for label, predicted, weight in zip(*self.pairs(y_true, y_pred, sample_weight, mask), strict=True):
            self.edits += float(weight) * self.distance(label, predicted)
            self.labels += float(weight) * len(label)

    def result(self) -> float:
        if not self.labels:
            return float("inf") if self.edits else 0.0
        return self.edits / self.labels


class BLEU(SequencePairs):
    """The score of the corpus; what each pair adds to it is counted when it comes."""

    def __init__(self, metric: spec.BLEU) -> None:
        super().__init__(metric)
        self.scorer = library("sacrebleu.metrics", metric).BLEU(
            tokenize="none", force=True, smooth_method=metric.smooth_method, max_ngram_order=metric.max_ngram_order)
        self.references: list[str] = []
        self.hypotheses: list[str] = []

    def update(self, y_true: Values, y_pred: Values, sample_weight: Values | None, mask: Values | None) -> None:
        labels, predicted, weights = self.pairs(y_true, y_pred, sample_weight, mask)
        if not np.isin(weights, (0.0, 1.0)).all():
            raise SpecError("BLEU counts the n-grams of the whole set and knows no sample weights but 0 and 1.",
                            hint="Name it under metrics, not under weighted_metrics.")
        for label, found, weight in zip(labels, predicted, weights, strict=True):
            if weight:
                self.references.append(" ".join(map(str, label)))
                self.hypotheses.append(" ".join(map(str, found)))

    def result(self) -> float:
        if not any(self.references):
            return 0.0
        return float(self.scorer.corpus_score(self.hypotheses, [self.references]).score) / 100.0
