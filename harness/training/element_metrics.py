"""The value per example of Keras's mean metrics, in NumPy (keras/src/losses/losses.py, metrics/*_metrics.py).

Shapes: labels and predictions [n, ..., k] of one shape, values [n, ...] (the last axis is reduced).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.training.ranks import same_rank

Values = NDArray[Any]
EPSILON = 1e-7  # keras.config.epsilon()
# Keras makes tensors of these before it knows the dtype.
EPSILON_32, LOG_2_32 = float(np.float32(EPSILON)), float(np.float32(np.log(2.0)))


def paired(y_true: Values, y_pred: Values) -> tuple[Values, Values]:
    return same_rank(np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64))


def percentage_error(y_true: Values, y_pred: Values) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    return np.asarray(100.0 * np.abs((y_true - y_pred) / np.maximum(np.abs(y_true), EPSILON)).mean(axis=-1))


def squared_logarithmic_error(y_true: Values, y_pred: Values) -> Values:
    logs = [np.log(np.maximum(values, EPSILON_32) + 1.0) for values in paired(y_true, y_pred)]
    return np.asarray(np.square(logs[1] - logs[0]).mean(axis=-1))


def log_cosh(y_true: Values, y_pred: Values) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    error = y_pred - y_true
    return np.asarray((error + np.logaddexp(0.0, -2.0 * error) - LOG_2_32).mean(axis=-1))


def cosine_similarity(y_true: Values, y_pred: Values, axis: int) -> Values:
    directions = [
        values / np.sqrt(np.maximum(np.square(values).sum(axis=axis, keepdims=True), EPSILON**2))
        for values in paired(y_true, y_pred)
    ]
    return np.asarray((directions[0] * directions[1]).sum(axis=axis))


def pearson_correlation(y_true: Values, y_pred: Values, axis: int) -> Values:
    centred = [values - values.mean(axis=axis, keepdims=True) for values in paired(y_true, y_pred)]
    scaled = [values / values.std(axis=axis, keepdims=True) for values in centred]
    return np.asarray((scaled[0] * scaled[1]).mean(axis=axis))


def concordance_correlation(y_true: Values, y_pred: Values, axis: int) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    mean_true, mean_pred = (values.mean(axis=axis, keepdims=True) for values in (y_true, y_pred))
    spread = y_true.var(axis=axis, keepdims=True) + y_pred.var(axis=axis, keepdims=True)
    # Keras centres both factors on the predictions' mean, which changes nothing in the sum.
    shared = (y_true - mean_pred) * (y_pred - mean_pred)
    return np.asarray((2 * shared / (spread + np.square(mean_true - mean_pred) + EPSILON)).mean(axis=axis))


def margins(y_true: Values, y_pred: Values) -> Values:
    """max(1 - y p, 0), with labels of 0 and 1 read as -1 and 1."""
    y_true, y_pred = paired(y_true, y_pred)
    if np.isin(y_true, (0, 1)).all():
        y_true = 2.0 * y_true - 1.0
    return np.asarray(np.maximum(1.0 - y_true * y_pred, 0.0))


def hinge(y_true: Values, y_pred: Values) -> Values:
    return np.asarray(margins(y_true, y_pred).mean(axis=-1))


def squared_hinge(y_true: Values, y_pred: Values) -> Values:
    return np.asarray(np.square(margins(y_true, y_pred)).mean(axis=-1))


def categorical_hinge(y_true: Values, y_pred: Values) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    right, wrong = (y_true * y_pred).sum(axis=-1), ((1.0 - y_true) * y_pred).max(axis=-1)
    return np.asarray(np.maximum(wrong - right + 1.0, 0.0))


def poisson(y_true: Values, y_pred: Values) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    return np.asarray((y_pred - y_true * np.log(y_pred + EPSILON)).mean(axis=-1))


def kl_divergence(y_true: Values, y_pred: Values) -> Values:
    y_true, y_pred = (np.clip(values, EPSILON, 1) for values in paired(y_true, y_pred))
    return np.asarray((y_true * np.log(y_true / y_pred)).sum(axis=-1))


def binary_crossentropy(y_true: Values, y_pred: Values, from_logits: bool, label_smoothing: float) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return np.asarray(binary_elements(y_true, y_pred, from_logits).mean(axis=-1))


def binary_elements(y_true: Values, y_pred: Values, from_logits: bool) -> Values:
    """The binary cross-entropy of every entry."""
    if from_logits:
        return np.asarray(np.maximum(y_pred, 0) - y_pred * y_true + np.log1p(np.exp(-np.abs(y_pred))))
    p = np.clip(y_pred, EPSILON, 1 - EPSILON)
    return np.asarray(-(y_true * np.log(p) + (1 - y_true) * np.log(1 - p)))


def huber(y_true: Values, y_pred: Values, delta: float) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    error = np.abs(y_pred - y_true)
    return np.asarray(np.where(error <= delta, 0.5 * error**2, delta * error - 0.5 * delta**2).mean(axis=-1))


def binary_focal_crossentropy(
    y_true: Values, y_pred: Values, from_logits: bool, label_smoothing: float, gamma: float, alpha: float | None
) -> Values:
    """alpha: of the class balancing, None without it."""
    y_true, y_pred = paired(y_true, y_pred)
    y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    p = 1 / (1 + np.exp(-y_pred)) if from_logits else y_pred
    each = binary_elements(y_true, y_pred, from_logits) * (1 - (y_true * p + (1 - y_true) * (1 - p))) ** gamma
    if alpha is not None:
        each = each * (y_true * alpha + (1 - y_true) * (1 - alpha))
    return np.asarray(each.mean(axis=-1))


def categorical_focal_crossentropy(
    y_true: Values, y_pred: Values, from_logits: bool, label_smoothing: float, gamma: float, alpha: float
) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    p = np.exp(log_softmax(y_pred, -1)) if from_logits else y_pred
    p = np.clip(p / p.sum(axis=-1, keepdims=True), EPSILON, 1 - EPSILON)
    return np.asarray((-y_true * np.log(p) * (1 - p) ** gamma * alpha).sum(axis=-1))


def categorical_crossentropy(
    y_true: Values, y_pred: Values, from_logits: bool, label_smoothing: float, axis: int = -1
) -> Values:
    y_true, y_pred = paired(y_true, y_pred)
    y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    if from_logits:
        logs = log_softmax(y_pred, axis)
    else:
        logs = np.log(np.clip(y_pred / y_pred.sum(axis=axis, keepdims=True), EPSILON, 1 - EPSILON))
    return np.asarray(-(y_true * logs).sum(axis=axis))


def sparse_categorical_crossentropy(
    y_true: Values, y_pred: Values, from_logits: bool, ignore_class: int | None
) -> Values:
    """0 where the label is `ignore_class`."""
    y_pred = np.asarray(y_pred, np.float64)
    labels = y_true[..., 0] if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 else y_true
    labels = labels.astype(np.int64)
    valid = np.ones(labels.shape, bool) if ignore_class is None else labels != ignore_class
    # Of probabilities Keras takes the logarithms for logits, so they are normalised once more.
    logs = log_softmax(y_pred if from_logits else np.log(np.clip(y_pred, EPSILON, 1 - EPSILON)), -1)
    each = -np.take_along_axis(logs, np.where(valid, labels, 0)[..., None], axis=-1)[..., 0]
    return np.where(valid, each, 0.0)


def log_softmax(logits: Values, axis: int) -> Values:
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))
