"""Losses of the PyTorch backend: torch.nn.functional where it means what Keras means, Keras's formula elsewhere.

Sources: keras/src/losses/losses.py and loss.py, keras/src/backend/tensorflow/nn.py (3.15.1); semantics.md 8.
Shapes: B batch, T any further axes, C classes or features, last as in Keras. y_true_BT may also be [B, T, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.spec import losses as spec

EPSILON = 1e-7  # keras.config.epsilon()
# Labels, predictions, whether the predictions are logits -> a value per element, and the mask they bring.
Values = tuple[Tensor, Tensor | None]


def loss_function(loss: spec.Loss) -> Callable[..., Tensor]:
    """call(y_true, y_pred, sample_weight=None, mask=None, logits=False) -> scalar.

    y_pred: [B, ..., C], floating. mask: that of the output, [B, ...], True where an element counts. logits: y_pred
    holds what came before the output's softmax or sigmoid; only where `loss.recovers_logits`.
    """
    values = LOSSES[type(loss)]
    plain = loss if isinstance(loss, spec.SparseCategoricalCrossentropy) and loss.ignore_class is None else None

    def call(
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        logits: bool = False,
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
        return reduce(each, sample_weight, mask)

    return call


def reduce(values: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """Keras's "sum_over_batch_size": sum of the weighted values over their number, or over that of valid ones."""
    if sample_weight is not None:
        sample_weight = sample_weight.to(values.dtype)
    if mask is not None:
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
    return values.mean()


def same_rank(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Keras's squeeze_or_expand_to_same_rank: [B] meets [B, 1], [B, T] meets [B, T, 1]."""
    if first.ndim == second.ndim + 1 and first.shape[-1] == 1:
        return (first, second[..., None]) if second.ndim == 1 else (first[..., 0], second)
    if second.ndim == first.ndim + 1 and second.shape[-1] == 1:
        return (first[..., None], second) if first.ndim == 1 else (first, second[..., 0])
    return first, second


def sparse_categorical_crossentropy(
    loss: spec.SparseCategoricalCrossentropy, y_true: Tensor, y_pred_BTC: Tensor, logits: bool
) -> Values:
    if y_true.ndim == y_pred_BTC.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    labels_BT, valid_BT = y_true.long(), None
    if loss.ignore_class is not None:
        valid_BT = labels_BT != loss.ignore_class
        labels_BT = torch.where(valid_BT, labels_BT, 0)
        y_pred_BTC = torch.where(valid_BT[..., None], y_pred_BTC, 0.0)
    if not (logits or loss.from_logits):
        # Keras takes the logarithms for logits, so they are normalised once more.
        y_pred_BTC = y_pred_BTC.clamp(EPSILON, 1 - EPSILON).log()
    each = F.cross_entropy(y_pred_BTC.flatten(0, -2), labels_BT.flatten(), reduction="none").view(labels_BT.shape)
    return (each if valid_BT is None else torch.where(valid_BT, each, 0.0)), valid_BT


def categorical_crossentropy(
    loss: spec.CategoricalCrossentropy, y_true: Tensor, y_pred: Tensor, logits: bool
) -> Values:
    y_true = _of_shape(y_true, y_pred)
    if loss.label_smoothing:
        y_true = y_true * (1.0 - loss.label_smoothing) + loss.label_smoothing / y_true.shape[-1]
    if logits or loss.from_logits:
        y_true_BTC, logits_BTC = y_true.movedim(loss.axis, -1), y_pred.movedim(loss.axis, -1)
        each = F.cross_entropy(logits_BTC.flatten(0, -2), y_true_BTC.flatten(0, -2), reduction="none")
        return each.view(logits_BTC.shape[:-1]), None
    y_pred = (y_pred / y_pred.sum(loss.axis, keepdim=True)).clamp(EPSILON, 1 - EPSILON)
    return -(y_true * y_pred.log()).sum(loss.axis), None


def binary_crossentropy(loss: spec.BinaryCrossentropy, y_true: Tensor, y_pred: Tensor, logits: bool) -> Values:
    y_true, squeezed = same_rank(y_true.to(y_pred.dtype), y_pred)
    if logits and squeezed is not y_pred:
        # Where Keras has to squeeze the predictions it does not find the way back to their logits.
        squeezed, logits = squeezed.sigmoid(), False
    y_true = _of_shape(y_true, squeezed)
    if loss.label_smoothing:
        y_true = y_true * (1.0 - loss.label_smoothing) + 0.5 * loss.label_smoothing
    if logits or loss.from_logits:
        each = F.binary_cross_entropy_with_logits(squeezed, y_true, reduction="none")
    else:
        p = squeezed.clamp(EPSILON, 1 - EPSILON)
        each = -(y_true * p.log() + (1 - y_true) * (1 - p).log())
    return each.mean(loss.axis), None


def mean_squared_error(loss: spec.MeanSquaredError, y_true: Tensor, y_pred: Tensor, logits: bool) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    return F.mse_loss(y_pred, _of_shape(y_true, y_pred), reduction="none").mean(-1), None


def mean_absolute_error(loss: spec.MeanAbsoluteError, y_true: Tensor, y_pred: Tensor, logits: bool) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    return F.l1_loss(y_pred, _of_shape(y_true, y_pred), reduction="none").mean(-1), None


def huber(loss: spec.Huber, y_true: Tensor, y_pred: Tensor, logits: bool) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    return F.huber_loss(y_pred, _of_shape(y_true, y_pred), reduction="none", delta=loss.delta).mean(-1), None


def kl_divergence(loss: spec.KLDivergence, y_true: Tensor, y_pred: Tensor, logits: bool) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    y_true, y_pred = _of_shape(y_true, y_pred).clamp(EPSILON, 1), y_pred.clamp(EPSILON, 1)
    return (y_true * (y_true / y_pred).log()).sum(-1), None


def _of_shape(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The labels in the predictions' dtype. Broadcasting here would be a silent mistake."""
    if y_true.shape != y_pred.shape:
        raise ValueError(f"labels {tuple(y_true.shape)} do not fit predictions {tuple(y_pred.shape)}.")
    return y_true.to(y_pred.dtype)


LOSSES: dict[type[spec.Loss], Callable[[Any, Tensor, Tensor, bool], Values]] = {
    spec.SparseCategoricalCrossentropy: sparse_categorical_crossentropy,
    spec.CategoricalCrossentropy: categorical_crossentropy,
    spec.BinaryCrossentropy: binary_crossentropy,
    spec.MeanSquaredError: mean_squared_error,
    spec.MeanAbsoluteError: mean_absolute_error,
    spec.Huber: huber,
    spec.KLDivergence: kl_divergence,
}
