"""When warm-up is over: judged on the times of sub-windows of equally many steps.

Machines are noisy, and a noisy machine never has two sub-windows within 1% of each other. So it is medians that have to
agree: those of the last three groups of sub-windows. A group is as long as the noise makes it: until the noise of a
difference of two such medians is well below what it is compared with. Together the groups span one window at least, and
three at most; where noise is larger than that can average out, the usual scatter of the medians is allowed.

What "right" means (tests/measure/test_steady.py holds it, on synthetic traces with noise of 0.5 to 3%): the true end of
a warm-up is the first step from which the noise-free step is no more than `steadiness`, or the noise where that is
larger, above what it will be in the end. The end that is found is right if it is within 10 steps of it. A machine that
slows down by 5% per window or more is never called steady.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Of a normal distribution: its standard deviation by its median absolute deviation, and the standard error of a median
# by that of a mean.
PER_MAD, PER_MEAN = 1.4826, 1.2533
GROUPS, LEAST_GROUP = 3, 4
# The noise of a difference of medians is to be so many times below what is allowed; where it cannot, so many of it are.
NOISE_BELOW, NOISE_ALLOWED = 1.5, 1.5
# Noise that lasts for many sub-windows (another process on this core) is seen in the medians of the parts of a group.
PARTS = 5
# A sub-window belongs to the warm-up if it is slower by this many times the noise.
ABOVE_NOISE = 2.0


@dataclass(frozen=True)
class Steady:
    """since: the first sub-window of the steady state. step_seconds: the median of its last groups. noise: of one
    sub-window, as a fraction."""

    since: int
    step_seconds: float
    noise: float


@dataclass(frozen=True)
class Groups:
    """The last groups of a trace. medians: of each, logarithms of the seconds of a step. allowed: how far they may lie
    apart; noise: of a single sub-window."""

    values: np.ndarray
    medians: np.ndarray
    allowed: float
    noise: float

    @property
    def apart(self) -> float:
        return float(self.medians.max() - self.medians.min())


def steady(step_seconds: np.ndarray, steadiness: float, window: int) -> Steady | None:
    """Whether the trace has come to a steady state, and since when; None if it has not (yet).

    step_seconds [sub-windows]: seconds of a step in each. steadiness: the fraction by which medians may differ over a
    window. window: how many sub-windows are as long as the timed window.
    """
    logs = np.log(np.asarray(step_seconds, np.float64))
    groups = last_groups(logs, steadiness, window)
    if groups is None or groups.apart > groups.allowed:
        return None
    level = float(np.median(groups.values))
    scatter = PER_MAD * float(np.median(np.abs(groups.values - level)))
    return Steady(_since(logs, level, max(steadiness, ABOVE_NOISE * scatter)), math.exp(level), scatter)


def last_groups(logs: np.ndarray, steadiness: float, window: int) -> Groups | None:
    """What is compared; None where there are too few sub-windows."""
    least = max(LEAST_GROUP, math.ceil(window / GROUPS))
    most = max(least, window)
    if len(logs) < GROUPS * least:
        return None
    # From neighbours: a slow change of the whole does not count as noise.
    differences = np.abs(np.diff(logs[-GROUPS * most:]))
    noise = PER_MAD * float(np.median(differences)) / math.sqrt(2)
    size = least
    while size < most and NOISE_BELOW * _error(noise, size) > _allowed(steadiness, size, window):
        size += 1
    if len(logs) < GROUPS * size:
        return None
    error = max(_error(noise, size), _lasting_error(_grouped(logs, size)))
    if NOISE_BELOW * error > _allowed(steadiness, size, window):
        size = most
        if len(logs) < GROUPS * size:
            return None
        error = max(_error(noise, size), _lasting_error(_grouped(logs, size)))
    values = _grouped(logs, size)
    allowed = max(_allowed(steadiness, size, window), NOISE_ALLOWED * error)
    return Groups(values, np.median(values, axis=1), allowed, noise)


def _grouped(logs: np.ndarray, size: int) -> np.ndarray:
    """The last groups [groups, size]."""
    return logs[-GROUPS * size:].reshape(GROUPS, size)


def _allowed(steadiness: float, size: int, window: int) -> float:
    """What a drift of `steadiness` per window comes to between the first and the last group."""
    return steadiness * min(1.0, (GROUPS - 1) * size / window)


def _error(noise: float, size: int) -> float:
    """The standard error of a difference of two medians."""
    return PER_MEAN * noise * math.sqrt(2 / size)


def _lasting_error(values: np.ndarray) -> float:
    """The same, from the scatter of parts of the groups. A drift hardly adds to it: it moves groups further apart than
    parts of one group."""
    if values.shape[1] < 2 * PARTS:
        return 0.0
    parts = [[np.median(part) for part in np.array_split(group, PARTS)] for group in values]
    scatter = PER_MAD * float(np.median(np.abs(np.array(parts) - np.median(parts, axis=1, keepdims=True))))
    return scatter * math.sqrt(2 / PARTS)


def _since(logs: np.ndarray, level: float, above: float) -> int:
    """The sub-window at which the times cross level + above for good: where the sum of what they are beyond it is
    largest. Single outliers are cut off."""
    beyond = np.clip(logs - level, -3 * above, 3 * above) - above
    return int(np.argmax(np.concatenate([[0.0], np.cumsum(beyond)])))
