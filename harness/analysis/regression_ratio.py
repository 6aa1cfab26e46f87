"""Ratios of two sets of measurements that were not taken side by side: before and after, here and elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.analysis.statistics import CONFIDENCE, Figure


def unpaired_log_ratio(
    over: Sequence[float], under: Sequence[float], confidence: float = CONFIDENCE, unit: str = "ratio",
) -> Figure:
    """Ratio of the geometric means of two samples, with Welch's interval on the logs; n is the smaller sample's.

    No interval where one of them has fewer than two values. Raises ValueError for an empty sample, or one with a value
    that is not positive and finite.
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (over, under))
    for values in (first, second):
        if not len(values) or not np.all(np.isfinite(values)) or np.any(values <= 0):
            raise ValueError("a ratio needs positive values on both sides")
    a, b = np.log(first), np.log(second)
    value, low, high = float(a.mean() - b.mean()), None, None
    if min(len(a), len(b)) >= 2:
        low = high = value
        spread = float(np.var(a, ddof=1)) / len(a) + float(np.var(b, ddof=1)) / len(b)
        if spread > 0:
            half = _t(confidence, _freedom(a, b)) * math.sqrt(spread)
            low, high = value - half, value + half
    method = f"ratio of geometric means, Welch on logs, {confidence * 100:.3g}% interval"
    return Figure(math.exp(value), None if low is None else math.exp(low), None if high is None else math.exp(high),
                  min(len(a), len(b)), unit, method, confidence)


def _freedom(a: np.ndarray, b: np.ndarray) -> float:
    """Degrees of freedom by Welch and Satterthwaite."""
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (a, b)]
    weighted = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True))
    return sum(parts) ** 2 / weighted


def _t(confidence: float, freedom: float) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + confidence) / 2, freedom))
