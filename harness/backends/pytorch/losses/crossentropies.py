"""The cross-entropies. B batch, T any further axes, C classes, last as in Keras. y_true_BT may also be [B, T, 1]."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.backends.pytorch.losses.values import EPSILON, Values, of_shape, same_rank
from harness.spec import losses as spec


def sparse_categorical_crossentropy(
    loss: spec.SparseCategoricalCrossentropy, y_true: Tensor, y_pred_BTC: Tensor, logits: str | None
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


class SoftmaxCrossEntropy(torch.autograd.Function):
    """-sum(y log softmax(z)) of each row, with the gradient of TensorFlow's kernel, softmax - y: the mathematical one
    where y sums to 1. z, y: [N, C]."""

    @staticmethod
    def forward(ctx: Any, logits_NC: Tensor, y_true_NC: Tensor) -> Tensor:
        logs_NC = F.log_softmax(logits_NC, -1)
        ctx.save_for_backward(logs_NC, y_true_NC)
        return -(y_true_NC * logs_NC).sum(-1)

    @staticmethod
    def backward(ctx: Any, gradient_N: Tensor) -> tuple[Tensor, None]:
        logs_NC, y_true_NC = ctx.saved_tensors
        return (logs_NC.exp() - y_true_NC) * gradient_N[:, None], None


def categorical_crossentropy(
    loss: spec.CategoricalCrossentropy, y_true: Tensor, y_pred: Tensor, logits: str | None
) -> Values:
    y_true = of_shape(y_true, y_pred)
    if loss.label_smoothing:
        y_true = y_true * (1.0 - loss.label_smoothing) + loss.label_smoothing / y_true.shape[-1]
    if logits or loss.from_logits:
        y_true_BTC, logits_BTC = y_true.movedim(loss.axis, -1), y_pred.movedim(loss.axis, -1)
        each = SoftmaxCrossEntropy.apply(logits_BTC.flatten(0, -2), y_true_BTC.flatten(0, -2))
        return each.view(logits_BTC.shape[:-1]), None
    y_pred = (y_pred / y_pred.sum(loss.axis, keepdim=True)).clamp(EPSILON, 1 - EPSILON)
    return -(y_true * y_pred.log()).sum(loss.axis), None


def binary_crossentropy(loss: spec.BinaryCrossentropy, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    y_true, squeezed = same_rank(y_true.to(y_pred.dtype), y_pred)
    if logits and squeezed is not y_pred:
        # Where Keras has to squeeze the predictions it does not find the way back to their logits.
        squeezed, logits = _activated(y_pred, logits)[..., 0], None
    y_true = of_shape(y_true, squeezed)
    if loss.label_smoothing:
        y_true = y_true * (1.0 - loss.label_smoothing) + 0.5 * loss.label_smoothing
    if logits or loss.from_logits:
        each = F.binary_cross_entropy_with_logits(squeezed, y_true, reduction="none")
    else:
        p = squeezed.clamp(EPSILON, 1 - EPSILON)
        each = -(y_true * p.log() + (1 - y_true) * (1 - p).log())
    return each.mean(loss.axis), None


def _activated(logits_BTC: Tensor, activation: str) -> Tensor:
    return logits_BTC.softmax(-1) if activation == "softmax" else logits_BTC.sigmoid()


def binary_focal_crossentropy(
    loss: spec.BinaryFocalCrossentropy, y_true: Tensor, y_pred: Tensor, logits: str | None
) -> Values:
    output = _activated(y_pred, logits) if logits else y_pred
    y_true, p = same_rank(y_true.to(y_pred.dtype), output)
    y_true = of_shape(y_true, p)
    if loss.label_smoothing:
        y_true = y_true * (1.0 - loss.label_smoothing) + 0.5 * loss.label_smoothing
    # The cross-entropy is that of the logits where Keras knows them, the factor that of the probabilities.
    known = y_pred if logits and p is output else None
    if loss.from_logits:
        known, p = p, p.sigmoid()
    if known is not None:
        each = F.binary_cross_entropy_with_logits(known, y_true, reduction="none")
    else:
        clipped = p.clamp(EPSILON, 1 - EPSILON)
        each = -(y_true * clipped.log() + (1 - y_true) * (1 - clipped).log())
    each = (1 - (y_true * p + (1 - y_true) * (1 - p))) ** loss.gamma * each
    if loss.apply_class_balancing:
        each = (y_true * loss.alpha + (1 - y_true) * (1 - loss.alpha)) * each
    return each.mean(loss.axis), None


def categorical_focal_crossentropy(
    loss: spec.CategoricalFocalCrossentropy, y_true: Tensor, y_pred: Tensor, logits: str | None
) -> Values:
    y_true, y_pred = same_rank(y_true.to(y_pred.dtype), y_pred)
    y_true = of_shape(y_true, y_pred)
    if loss.label_smoothing:
        y_true = y_true * (1.0 - loss.label_smoothing) + loss.label_smoothing / y_true.shape[-1]
    p = y_pred.softmax(loss.axis) if loss.from_logits else y_pred
    p = (p / p.sum(loss.axis, keepdim=True)).clamp(EPSILON, 1 - EPSILON)
    return (-y_true * p.log() * (1 - p) ** loss.gamma * loss.alpha).sum(loss.axis), None


def categorical_generalized_cross_entropy(
    loss: spec.CategoricalGeneralizedCrossEntropy, y_true: Tensor, y_pred: Tensor, logits: str | None
) -> Values:
    p = y_pred.gather(-1, y_true.long()[..., None])[..., 0]
    return (1 - p**loss.q) / loss.q, None
