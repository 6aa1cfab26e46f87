"""Losses of the PyTorch backend: torch.nn.functional where it means what Keras means, Keras's formula elsewhere.

Sources: keras/src/losses/losses.py and loss.py, keras/src/backend/tensorflow/nn.py (3.15.1); semantics.md 8.
The formulas stand in crossentropies.py, distances.py and sequences.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.backends.pytorch.losses import crossentropies, distances, sequences
from harness.backends.pytorch.losses.values import Values, same_rank
from harness.spec import losses as spec

__all__ = ["LOSSES", "loss_function", "reduce", "same_rank"]


def loss_function(loss: spec.Loss) -> Callable[..., Tensor]:
    """call(y_true, y_pred, sample_weight=None, mask=None, logits=None) -> scalar.

    y_pred: [B, ..., C], floating. mask: that of the output, [B, ...], True where an element counts. logits: the
    output's activation, "softmax" or "sigmoid", if y_pred holds what came before it; only where
    `loss.recovers_logits`.
    """
    values = LOSSES[type(loss)]
    reduction: str = getattr(loss, "reduction")  # noqa: B009 (each loss declares it at its place)
    plain = loss if isinstance(loss, spec.SparseCategoricalCrossentropy) and loss.ignore_class is None else None
    if reduction == "sum":
        plain = None

    def call(
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        logits: str | None = None,
    ) -> Tensor:
        assert loss.recovers_logits or not logits, f"{loss!r} does not go back to the logits."
        if y_pred.dtype in (torch.float16, torch.bfloat16):
            y_pred = y_pred.float()
        if plain and (logits or plain.from_logits) and sample_weight is None and mask is None:
            # The common case in one native call: the mean over all elements.
            labels = y_true[..., 0] if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 else y_true
            return F.cross_entropy(y_pred.flatten(0, -2), labels.flatten().long())
        each, own_mask = values(loss, y_true, y_pred, logits)
        if own_mask is not None:
            mask = own_mask if mask is None else mask & own_mask
        return reduce(each, sample_weight, mask, reduction)

    return call


def reduce(
    values: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None,
    reduction: str = "sum_over_batch_size",
) -> Tensor:
    """Keras's reductions (losses/loss.py). "sum_over_batch_size" and "mean": sum of the weighted values over their
    number, or over that of the valid ones; "mean_with_sample_weight": over the sum of the weights; "sum"."""
    if sample_weight is not None:
        sample_weight = sample_weight.to(values.dtype)
    if mask is not None:
        weight = mask.to(values.dtype)
        if reduction in ("sum_over_batch_size", "mean"):
            # Valid elements weigh total / valid, so that dividing by the total is dividing by the valid ones.
            valid = mask.sum().to(values.dtype)
            share = torch.where(valid > 0, mask.numel() / valid, torch.zeros_like(valid))
            weight = torch.where(mask, share, torch.zeros_like(share))
        if sample_weight is not None:
            weight, sample_weight = same_rank(weight, sample_weight)
            weight = weight * sample_weight
        sample_weight = weight
    if sample_weight is not None:
        values, sample_weight = same_rank(values, sample_weight)
        values = values * sample_weight
    if reduction == "sum":
        return values.sum()
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        total = sample_weight.sum()
        return torch.where(total == 0, 0.0, values.sum() / torch.where(total == 0, 1.0, total))
    return values.mean()


LOSSES: dict[type[spec.Loss], Callable[[Any, Tensor, Tensor, str | None], Values]] = {
    spec.SparseCategoricalCrossentropy: crossentropies.sparse_categorical_crossentropy,
    spec.CategoricalCrossentropy: crossentropies.categorical_crossentropy,
    spec.BinaryCrossentropy: crossentropies.binary_crossentropy,
    spec.BinaryFocalCrossentropy: crossentropies.binary_focal_crossentropy,
    spec.CategoricalFocalCrossentropy: crossentropies.categorical_focal_crossentropy,
    spec.CategoricalGeneralizedCrossEntropy: crossentropies.categorical_generalized_cross_entropy,
    spec.MeanSquaredError: distances.mean_squared_error,
    spec.MeanAbsoluteError: distances.mean_absolute_error,
    spec.MeanAbsolutePercentageError: distances.mean_absolute_percentage_error,
    spec.MeanSquaredLogarithmicError: distances.mean_squared_logarithmic_error,
    spec.Huber: distances.huber,
    spec.LogCosh: distances.log_cosh,
    spec.CosineSimilarity: distances.cosine_similarity,
    spec.KLDivergence: distances.kl_divergence,
    spec.Poisson: distances.poisson,
    spec.Hinge: distances.hinge,
    spec.SquaredHinge: distances.squared_hinge,
    spec.CategoricalHinge: distances.categorical_hinge,
    spec.Dice: distances.dice,
    spec.Tversky: distances.tversky,
    spec.CTC: sequences.ctc,
    spec.Circle: distances.circle,
}
