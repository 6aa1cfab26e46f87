"""Mistakes inside a normalization: epsilon, mode, and what its moving statistics take in."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.certify.causes.evidence import (
    Cause,
    Evidence,
    Signature,
    close,
    common_factor,
    factor,
    number,
    outputs_of,
)

NORMALIZATIONS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization")


def _is_declared(evidence: Evidence, found: np.ndarray) -> bool:
    """Whether a normalization's output is what its declared arguments give (in training mode)."""
    layer, x = evidence.layer, evidence.inputs()[0]
    centre = 0.0 if layer.canonical_name() == "RMSNormalization" else _mean(layer, x)
    y = (x - centre) / np.sqrt(_variance(layer, x) + layer.epsilon)
    for role, used in (("gamma", "scale"), ("beta", "center")):
        if getattr(layer, used, role == "gamma"):
            try:
                weight = _aligned(evidence.weight("scale" if layer.canonical_name() == "RMSNormalization" else role),
                                  layer, x)
            except KeyError:
                continue
            y = y * weight if role == "gamma" else y + weight
    return close(found, y, 1e-9)


def _mean(layer: Any, x: np.ndarray) -> np.ndarray:
    axes = _axes(layer, x.ndim)
    kind = layer.canonical_name()
    if kind == "GroupNormalization":
        groups = x.shape[-1] if layer.groups == -1 else layer.groups
        parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
        return np.asarray(np.broadcast_to(parts.mean((1, 3), keepdims=True), parts.shape).reshape(x.shape))
    over = tuple(axis for axis in range(x.ndim) if axis not in axes) if kind == "BatchNormalization" else axes
    return np.asarray(x.mean(over, keepdims=True))


def wrong_epsilon(evidence: Evidence) -> Cause | None:
    """A normalization whose epsilon is another: the outputs, beta aside, are in the ratio of two roots."""
    layer = evidence.layer
    if layer.canonical_name() not in NORMALIZATIONS or not hasattr(layer, "epsilon"):
        return None
    x = evidence.inputs()[0]
    variance = _variance(layer, x)
    beta = evidence.weight("beta") if getattr(layer, "center", False) else np.zeros(1)
    for title, deviant, sound in outputs_of(evidence, "output"):
        if not _is_declared(evidence, sound):
            continue
        a, b = deviant - _aligned(beta, layer, x), sound - _aligned(beta, layer, x)
        large = np.abs(b) > 1e-3 * np.abs(b).max()
        ratio = np.where(large, b / np.where(large, a, 1.0), np.nan) ** 2
        epsilons = (ratio * (variance + layer.epsilon) - variance)[large]
        # Where the variance is large nothing is seen of epsilon.
        weights = np.broadcast_to(1.0 / (variance + layer.epsilon), x.shape)[large]
        found = float(np.average(epsilons, weights=weights**2))
        if found >= 0 and abs(found - layer.epsilon) > 1e-3 * layer.epsilon and _spread(epsilons, found, weights):
            return Cause(f"epsilon is {number(found)} in {title} and {number(layer.epsilon)} in the model",
                         f"Set eps={layer.epsilon:g}: torch's default is 1e-5, Keras's 1e-3.")
    return None


def _spread(epsilons: np.ndarray, mean: float, weights: np.ndarray) -> bool:
    errors = np.abs(epsilons - mean) * weights
    return bool(np.average(errors) <= 1e-2 * np.average(np.abs(weights)) * max(mean, 1e-12))


def _variance(layer: Any, x: np.ndarray) -> np.ndarray:
    kind = layer.canonical_name()
    axes = _axes(layer, x.ndim)
    if kind == "BatchNormalization":
        over = tuple(axis for axis in range(x.ndim) if axis not in axes)
        return np.asarray(x.var(over, keepdims=True))
    if kind == "GroupNormalization":
        groups = x.shape[-1] if layer.groups == -1 else layer.groups
        parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
        of_group = parts.var((1, 3), keepdims=True)
        return np.asarray(np.broadcast_to(of_group, parts.shape).reshape(x.shape))
    return np.asarray(np.square(x).mean(axes, keepdims=True) if kind == "RMSNormalization"
                      else x.var(axes, keepdims=True))


def _axes(layer: Any, rank: int) -> tuple[int, ...]:
    axis = layer.axis
    return tuple(item % rank for item in (axis if isinstance(axis, (list, tuple)) else (axis,)))


def _aligned(weight: np.ndarray, layer: Any, x: np.ndarray) -> np.ndarray:
    if weight.size == 1:
        return weight
    axes = _axes(layer, x.ndim)
    return weight.reshape([x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)])


def wrong_mode(evidence: Evidence) -> Cause | None:
    """A layer that does in training what it should do in inference, or the reverse."""
    inference = {title: sound for title, _, sound in outputs_of(evidence, "inference")}
    for title, deviant, sound in outputs_of(evidence, "output"):
        if not evidence.layer.trainable and title in inference and close(sound, inference[title]) \
                and not close(deviant, sound):
            return Cause(f"{title} runs the frozen layer in training mode",
                         "Keras runs a frozen BatchNormalization in inference mode: call .eval() on the module.")
        if evidence.layer.trainable and title in inference and close(deviant, inference[title]) \
                and not close(deviant, sound):
            return Cause(f"{title} runs the layer in inference mode while it trains",
                         "Call .train() on the module, or keep it in eval() only while it is frozen, as Keras does.")
    training = {title: sound for title, _, sound in outputs_of(evidence, "output")}
    for title, deviant, sound in outputs_of(evidence, "inference"):
        if title in training and close(deviant, training[title]) and not close(deviant, sound):
            return Cause(f"{title} runs the layer in training mode when it only predicts", "Call .eval() first.")
    return None


def moving_average(evidence: Evidence) -> Cause | None:
    """Moving statistics: their momentum, and the variance that they take."""
    layer = evidence.layer
    if not hasattr(layer, "momentum"):
        return None
    prefix = f"change {evidence.finding.layer}/"
    for title, deviant, sound in evidence.sides(forced=True):
        if not _averages(evidence, sound[prefix + "moving_mean"]):
            continue
        mean = factor(deviant[prefix + "moving_mean"], sound[prefix + "moving_mean"])
        variance = factor(deviant[prefix + "moving_variance"], sound[prefix + "moving_variance"])
        c = common_factor([(deviant[prefix + role], sound[prefix + role])
                           for role in ("moving_mean", "moving_variance")])
        if c is not None:
            found = 1 - c * (1 - layer.momentum)
            return Cause(f"momentum is {number(found)} in {title} and {number(layer.momentum)} in the model",
                         f"Set momentum={1 - layer.momentum:g} in torch: its momentum is 1 - Keras's (default 0.1).")
        if not np.any(deviant[prefix + "moving_mean"]) and np.any(sound[prefix + "moving_mean"]):
            return Cause(f"{title} does not update the moving statistics", "Keep the module in training mode.")
        if mean is None and variance is None and close(
                deviant[prefix + "moving_mean"], sound[prefix + "moving_mean"]):
            return _bessel(evidence, title, deviant, sound, prefix)
    return None


def _averages(evidence: Evidence, change: Any) -> bool:
    """Whether the moving mean was changed as the declared momentum says."""
    layer = evidence.layer
    mean = _mean(layer, evidence.inputs()[0]).reshape(-1)
    return close(change, (1 - layer.momentum) * (mean - evidence.weight("moving_mean")), 1e-6) or not np.any(change)


def _bessel(evidence: Evidence, title: str, deviant: Any, sound: Any, prefix: str) -> Cause | None:
    x = evidence.inputs()[0]
    count = x.size / x.shape[evidence.layer.axis]
    before = evidence.weight("moving_variance")
    rate = 1 - evidence.layer.momentum
    taken = [np.asarray(side[prefix + "moving_variance"], np.float64) / rate + before for side in (deviant, sound)]
    c = factor(taken[0], taken[1], 1e-9)
    if c is not None and abs(c - count / (count - 1)) < 1e-6:
        return Cause(f"{title} takes the unbiased variance (n - 1) into the moving average, the model the biased one",
                     "Keras's running variance is biased: multiply torch's by (n - 1) / n.")
    return None


FORWARD: tuple[Signature, ...] = (wrong_epsilon, wrong_mode)
INFERENCE: tuple[Signature, ...] = (wrong_mode, wrong_epsilon)
BUFFER: tuple[Signature, ...] = (moving_average,)
