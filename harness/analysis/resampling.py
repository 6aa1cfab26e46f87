"""The bootstrap: means of groups resampled each inside itself, and an interval that is not too narrow for few values.

A plain percentile interval of few values is too narrow twice: the resamples' spread is (n - 1)/n of the estimate, and
its quantiles are the normal's, not Student's. Both are mended here as in Hesterberg, "What Teachers Should Know About
the Bootstrap" (The American Statistician 69, 2015): at 6 values and 95% the plain interval covers 83%, this one 92%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
SEED = 20_261_123


def resampled_means(groups: Sequence[Sequence[float]], resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """[resamples, groups]: the mean of each group, its values drawn with replacement from that group alone.

    Deviations from the group's mean are widened by sqrt(n/(n - 1)), so that the variance of a column is that of the
    mean without bias. A group of one value does not vary. Raises ValueError for an empty group.
    """
    rng = np.random.default_rng(seed)
    columns = []
    for group in groups:
        values = np.asarray(group, dtype=np.float64)
        n = len(values)
        if n == 0:
            raise ValueError("an empty group has no mean")
        mean = values.mean()
        drawn = (values - mean)[rng.integers(0, n, (resamples, n))].mean(axis=1)
        columns.append(mean + drawn * math.sqrt(n / max(n - 1, 1)))
    return np.stack(columns, axis=1)


def freedom(groups: Sequence[Sequence[float]]) -> float:
    """Degrees of freedom of the mean of the groups' means (Welch and Satterthwaite); infinite without any spread."""
    parts, weighted = [], 0.0
    for group in groups:
        values = np.asarray(group, dtype=np.float64)
        if len(values) > 1 and np.ptp(values) > 0:
            part = float(np.var(values, ddof=1)) / len(values)
            parts.append(part)
            weighted += part**2 / (len(values) - 1)
    return sum(parts) ** 2 / weighted if weighted > 0 else math.inf


def percentile_interval(values: np.ndarray, confidence: float, degrees: float) -> tuple[float, float]:
    """The percentiles of resampled values at the level that Student's t with these degrees of freedom asks for."""
    from scipy import stats

    level = float(stats.norm.sf(stats.t.isf((1 - confidence) / 2, degrees)))
    low, high = np.quantile(values, [level, 1 - level])
    return float(low), float(high)
