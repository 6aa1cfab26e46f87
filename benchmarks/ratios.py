"""Ratios of times measured in rounds, with intervals.

Round i of one contender is compared with round i of the other: what slows the machine for a while slows both. The ratio
is the geometric mean over the rounds; its interval is a bootstrap of the rounds (harness/analysis/resampling.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.analysis.resampling import percentile_interval, resampled_means

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """other / own of times: above 1, own is faster. low, high: the 95% interval; None where there is but one round."""

    value: float
    low: float | None
    high: float | None
    rounds: int

    def __str__(self) -> str:
        digits = 1 if self.value >= 20 else 2
        if self.low is None or self.high is None:
            return f"{self.value:.{digits}f} [one round]"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def ratio(other: Sequence[float], own: Sequence[float]) -> Ratio:
    """The geometric mean of other / own. Raises ValueError unless both have as many times, all of them above 0."""
    if len(other) != len(own) or not len(own):
        raise ValueError(f"rounds are compared one by one, got {len(other)} and {len(own)}")
    if min(*other, *own) <= 0:
        raise ValueError("a time must be above 0")
    logs = np.log(np.asarray(other, np.float64) / np.asarray(own, np.float64))
    value = math.exp(logs.mean())
    if len(logs) < 2:
        return Ratio(value, None, None, len(logs))
    low, high = percentile_interval(resampled_means([logs.tolist()])[:, 0], CONFIDENCE, len(logs) - 1)
    return Ratio(value, math.exp(low), math.exp(high), len(logs))
