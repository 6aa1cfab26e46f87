"""Waiting times of which some are only known to be longer: Kaplan and Meier's curve, and restricted means from it.

The restricted mean up to a horizon is the mean of min(time, horizon); it needs no run to have arrived. Royston and
Parmar, "Restricted mean survival time", BMC Medical Research Methodology 13 (2013).
"""

from __future__ import annotations

import math

import numpy as np


def restricted_mean(times: np.ndarray, events: np.ndarray, horizon: float) -> float:
    """Area under the Kaplan-Meier curve from 0 to the horizon. times: seconds; events: True where the target was
    reached, False where the run was censored then. Beyond the last time the curve stays where it is."""
    from statsmodels.duration.survfunc import SurvfuncRight

    curve = SurvfuncRight(times, np.asarray(events, dtype=np.int64))
    steps = np.minimum(np.concatenate([[0.0], curve.surv_times, [horizon]]), horizon)
    return float(np.sum(np.diff(steps) * np.concatenate([[1.0], curve.surv_prob])))


def common_horizon(a: np.ndarray, reached_a: np.ndarray, b: np.ndarray, reached_b: np.ndarray) -> float:
    """Seconds up to which both curves are known: a curve ends with its last run if that one was censored, and is 0
    ever after if it arrived."""
    ends = []
    for times, events in ((a, reached_a), (b, reached_b)):
        last = float(times.max())
        ends.append(math.inf if np.all(events[times == last]) else last)
    least = min(ends)
    return least if math.isfinite(least) else float(max(a.max(), b.max()))


def weighted_restricted_means(
    times: np.ndarray, events: np.ndarray, weights: np.ndarray, horizon: float
) -> np.ndarray:
    """`restricted_mean` for each row of weights [rows, runs] (how often a run was drawn), all rows at once."""
    moments = np.unique(times[events & (times < horizon)])
    at_risk = weights @ (times[:, None] >= moments).astype(np.float64)
    arriving = weights @ ((times[:, None] == moments) & events[:, None]).astype(np.float64)
    left = np.cumprod(1 - arriving / np.where(at_risk > 0, at_risk, 1.0), axis=1)
    lengths = np.diff(np.concatenate([[0.0], moments, [horizon]]))
    return np.asarray(lengths[0] + left @ lengths[1:])
