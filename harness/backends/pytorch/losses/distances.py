"""The losses over numbers, margins and overlaps. Where an axis is averaged it is the last, as in Keras."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.backends.pytorch.losses.values import EPSILON, Values, of_shape, paired, same_rank
from harness.spec import losses as spec

# Keras makes tensors of these before it knows the dtype.
EPSILON_32 = float(torch.tensor(EPSILON, dtype=torch.float32))
LOG_2_32 = float(torch.tensor(math.log(2.0), dtype=torch.float32))


def mean_squared_error(loss: spec.MeanSquaredError, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    return F.mse_loss(y_pred, of_shape(y_true, y_pred), reduction="none").mean(-1), None


def mean_absolute_error(loss: spec.MeanAbsoluteError, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    return F.l1_loss(y_pred, of_shape(y_true, y_pred), reduction="none").mean(-1), None


def huber(loss: spec.Huber, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    return F.huber_loss(y_pred, of_shape(y_true, y_pred), reduction="none", delta=loss.delta).mean(-1), None


def kl_divergence(loss: spec.KLDivergence, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    y_true, y_pred = of_shape(y_true, y_pred).clamp(EPSILON, 1), y_pred.clamp(EPSILON, 1)
    return (y_true * (y_true / y_pred).log()).sum(-1), None


def mean_absolute_percentage_error(
    loss: spec.MeanAbsolutePercentageError, y_true: Tensor, y_pred: Tensor, logits: str | None
) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    return 100.0 * ((y_true - y_pred) / y_true.abs().clamp_min(EPSILON)).abs().mean(-1), None


def mean_squared_logarithmic_error(
    loss: spec.MeanSquaredLogarithmicError, y_true: Tensor, y_pred: Tensor, logits: str | None
) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    logs = [(values.clamp_min(EPSILON_32) + 1.0).log() for values in (y_pred, y_true)]
    return (logs[0] - logs[1]).square().mean(-1), None


def log_cosh(loss: spec.LogCosh, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    error = y_pred - y_true
    # Beyond its default threshold of 20 torch's softplus is the identity, 2e-9 from the truth.
    return (error + F.softplus(error * -2.0, threshold=40) - LOG_2_32).mean(-1), None


def cosine_similarity(loss: spec.CosineSimilarity, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    directions = [
        values * values.square().sum(loss.axis, keepdim=True).clamp_min(EPSILON**2).rsqrt()
        for values in paired(y_true, y_pred)
    ]
    return -(directions[0] * directions[1]).sum(loss.axis), None


def poisson(loss: spec.Poisson, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    return (y_pred - y_true * (y_pred + EPSILON).log()).mean(-1), None


def _margins(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """max(1 - y p, 0), with labels of 0 and 1 read as -1 and 1."""
    y_true, y_pred = paired(y_true, y_pred)
    binary = ((y_true == 0) | (y_true == 1)).all()
    y_true = torch.where(binary, 2.0 * y_true - 1.0, y_true)
    return (1.0 - y_true * y_pred).clamp_min(0.0)


def hinge(loss: spec.Hinge, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    return _margins(y_true, y_pred).mean(-1), None


def squared_hinge(loss: spec.SquaredHinge, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    return _margins(y_true, y_pred).square().mean(-1), None


def categorical_hinge(loss: spec.CategoricalHinge, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    right, wrong = (y_true * y_pred).sum(-1), ((1.0 - y_true) * y_pred).amax(-1)
    return (wrong - right + 1.0).clamp_min(0.0), None


def dice(loss: spec.Dice, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    overlap, total = (y_true * y_pred).sum(loss.axis), y_true.sum(loss.axis) + y_pred.sum(loss.axis)
    return 1 - 2.0 * overlap / (total + EPSILON), None


def tversky(loss: spec.Tversky, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    overlap = (y_true * y_pred).sum(loss.axis)
    missed, wrong = (y_true * (1 - y_pred)).sum(loss.axis), ((1 - y_true) * y_pred).sum(loss.axis)
    return 1 - overlap / (overlap + missed * loss.alpha + wrong * loss.beta + EPSILON), None


def circle(loss: spec.Circle, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    """y_true: labels [B] or [B, 1], y_pred: unit vectors [B, D]."""
    labels_B1 = y_true.long().reshape(-1, 1)
    positive_BB = labels_B1 == labels_B1.T
    negative_BB = ~positive_BB
    if loss.remove_diagonal:
        positive_BB = positive_BB & ~torch.eye(len(labels_B1), dtype=torch.bool, device=y_pred.device)
    distance_BB = (1 - y_pred @ y_pred.T).clamp_min(0.0)
    near_BB = ((loss.margin + distance_BB) * positive_BB).clamp_min(0.0)
    far_BB = ((1 + loss.margin - distance_BB) * negative_BB).clamp_min(0.0)
    near_BB = -1 * loss.gamma * near_BB * (loss.margin - distance_BB)
    far_BB = loss.gamma * far_BB * (1 - loss.margin - distance_BB)
    none = torch.full_like(near_BB, -torch.inf)
    values = torch.where(positive_BB, near_BB, none).logsumexp(1) + torch.where(negative_BB, far_BB, none).logsumexp(1)
    each_B = F.softplus(values, threshold=40.0)
    return each_B, each_B > 0
