"""Keras's rarely used losses on quantities and distributions, as data (keras/src/losses/losses.py)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.spec.loss_base import Loss, PlainLoss, Reduction


class MeanAbsolutePercentageError(PlainLoss):
    """100 |y - p| / max(|y|, 1e-7), averaged over the last axis."""


class MeanSquaredLogarithmicError(PlainLoss):
    """(log(p + 1) - log(y + 1))^2, averaged over the last axis; y and p are at least 1e-7."""


class Huber(Loss):
    """Squared up to an error of `delta`, linear beyond it."""

    delta: Annotated[float, Field(gt=0)] = 1.0
    reduction: Reduction = "sum_over_batch_size"


class LogCosh(PlainLoss):
    """log(cosh(p - y)), averaged over the last axis."""


class CosineSimilarity(Loss):
    """-y p / (|y| |p|) along `axis`: -1 where they have the same direction."""

    axis: int = -1
    reduction: Reduction = "sum_over_batch_size"


class KLDivergence(PlainLoss):
    """sum(y log(y / p)) over the last axis, y and p clipped to [1e-7, 1]."""


class Poisson(PlainLoss):
    """p - y log(p + 1e-7), averaged over the last axis."""
