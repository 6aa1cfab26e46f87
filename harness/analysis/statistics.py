"""Paired statistics over seeds. Every figure carries its interval, n, unit and method.

Distributions come from SciPy; nothing is estimated by own code but means and standard deviations.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Figure:
    """value with its interval [low, high] at `confidence`; low and high are None where n is below 2."""

    value: float
    low: float | None
    high: float | None
    n: int
    unit: str
    method: str
    confidence: float = CONFIDENCE

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def paired_log_ratio(
    a: Sequence[float], b: Sequence[float], unit: str = "ratio", confidence: float = CONFIDENCE
) -> Figure:
    """Geometric mean of a/b over pairs, with Student's t interval on d = log(a) - log(b).

    Raises ValueError unless both have one positive finite value per pair.
    """
    first, second = _pairs(a, b)
    if np.any(first <= 0) or np.any(second <= 0):
        raise ValueError("a log ratio needs positive values")
    mean, low, high = student_interval(np.log(first) - np.log(second), confidence)
    method = f"paired log-ratio, Student t, {confidence * 100:.3g}% interval"
    return Figure(
        math.exp(mean),
        None if low is None else math.exp(low),
        None if high is None else math.exp(high),
        len(first),
        unit,
        method,
        confidence,
    )


def paired_difference(a: Sequence[float], b: Sequence[float], unit: str, confidence: float = CONFIDENCE) -> Figure:
    """Mean of a - b over pairs, with Student's t interval."""
    first, second = _pairs(a, b)
    mean, low, high = student_interval(first - second, confidence)
    method = f"paired difference, Student t, {confidence * 100:.3g}% interval"
    return Figure(mean, low, high, len(first), unit, method, confidence)


def unpaired_difference(a: Sequence[float], b: Sequence[float], unit: str, confidence: float = CONFIDENCE) -> Figure:
    """Mean of a minus mean of b with Welch's interval: what one would say without the pairing."""
    from scipy import stats

    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    value = float(first.mean() - second.mean())
    low = high = None
    if min(len(first), len(second)) >= 2:
        low = high = value
        if np.ptp(first) > 0 or np.ptp(second) > 0:
            with _near_identical_is_fine():
                interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
            low, high = float(interval.low), float(interval.high)
    return Figure(value, low, high, min(len(first), len(second)), unit, f"Welch, {confidence * 100:.3g}%", confidence)


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's correlation of the pairs: what pairing gains. None where either side does not vary."""
    first, second = _pairs(a, b)
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    from scipy import stats

    return float(stats.pearsonr(first, second).statistic)


def equivalence_p_value(a: Sequence[float], b: Sequence[float], margin: float) -> float | None:
    """TOST on the paired difference: the larger p of the two one-sided t tests against -margin, +margin.

    Below 0.05 the two are equivalent inside the margin. None below two pairs.
    """
    first, second = _pairs(a, b)
    difference = first - second
    if len(difference) < 2:
        return None
    if np.ptp(difference) == 0:
        # Identical differences leave t undefined; the limit is certainty on either side of the margin.
        return 0.0 if abs(float(difference[0])) < margin else 1.0
    from scipy import stats

    with _near_identical_is_fine():
        above = stats.ttest_1samp(difference, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(difference, margin, alternative="less").pvalue
    return float(max(above, below))


def student_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of Student's t; the ends are None below two values."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, None, None
    if np.ptp(values) == 0:
        return mean, mean, mean
    from scipy import stats

    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half


@contextmanager
def _near_identical_is_fine() -> Iterator[None]:
    """SciPy warns of lost precision where values agree to rounding: between paired trainings, the rule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _pairs(a: Sequence[float], b: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise ValueError(f"pairs need equally many values, got {first.shape} and {second.shape}")
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
        raise ValueError("pairs need finite values")
    return first, second
