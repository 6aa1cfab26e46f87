"""Keras's rarely used losses on classes, as data: focal and generalized cross-entropies, hinges, overlaps, sequences
and pairs (keras/src/losses/losses.py)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.spec.loss_base import Axes, Loss, NotNegative, PlainLoss, Reduction, Smoothing


class BinaryFocalCrossentropy(Loss):
    """Binary cross-entropy times (1 - p of the true class)^gamma; with class balancing times alpha or 1 - alpha."""

    apply_class_balancing: bool = False
    alpha: Smoothing = 0.25
    gamma: NotNegative = 2.0
    from_logits: bool = False
    label_smoothing: Smoothing = 0.0
    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"

    @property
    def recovers_logits(self) -> bool:
        # With from_logits it is the loss itself that takes a sigmoid, and Keras goes back to before that one.
        return not self.from_logits


class CategoricalFocalCrossentropy(Loss):
    """-alpha (1 - p)^gamma y log p, summed over the class axis."""

    alpha: Smoothing = 0.25
    gamma: NotNegative = 2.0
    from_logits: bool = False
    label_smoothing: Smoothing = 0.0
    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"


class CategoricalGeneralizedCrossEntropy(Loss):
    """(1 - p[label]^q) / q; labels are integers (Zhang and Sabuncu 2018)."""

    q: Annotated[float, Field(gt=0, lt=1)] = 0.5
    reduction: Reduction = "sum_over_batch_size"


class Hinge(PlainLoss):
    """max(1 - y p, 0), averaged over the last axis; labels are -1 and 1, or 0 and 1."""


class SquaredHinge(PlainLoss):
    """max(1 - y p, 0)^2, averaged over the last axis; labels are -1 and 1, or 0 and 1."""


class CategoricalHinge(PlainLoss):
    """max(largest p of the wrong classes - p of the true class + 1, 0); labels are one-hot."""


class Dice(Loss):
    """1 - 2 sum(y p) / (sum(y) + sum(p)) over `axis`, by default over the whole batch."""

    reduction: Reduction = "sum_over_batch_size"
    axis: Axes = None


class Tversky(Loss):
    """1 - sum(y p) / (sum(y p) + alpha sum(y (1 - p)) + beta sum((1 - y) p)) over `axis`, by default everything."""

    alpha: NotNegative = 0.5
    beta: NotNegative = 0.5
    reduction: Reduction = "sum_over_batch_size"
    axis: Axes = None


class CTC(PlainLoss):
    """-log of the probability of all ways to spread the labels over the steps, with blanks (Graves et al. 2006).

    Predictions are logits [batch, steps, classes]; class 0 is the blank. Labels [batch, length] are classes from 1
    on, with zeros behind the last; every step counts. Keras computes it in float32, whatever its dtype.
    """


class Circle(Loss):
    """softplus(logsumexp of the positives + logsumexp of the negatives), by pairs of examples (Sun et al. 2020).

    Predictions are unit vectors [batch, features], labels integers [batch]: pairs of one label are the positives.
    Examples whose value is 0 do not count.
    """

    gamma: Annotated[float, Field(allow_inf_nan=False)] = 80.0
    margin: Annotated[float, Field(allow_inf_nan=False)] = 0.4
    remove_diagonal: bool = True
    reduction: Reduction = "sum_over_batch_size"
