"""Dolan and More's performance profile: in what share of the cells a backend is within a factor of the best.

E. Dolan, J. More, "Benchmarking optimization software with performance profiles", Mathematical Programming 91 (2002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.resampling import SEED
from harness.analysis.statistics import CONFIDENCE, Figure

FEWEST_CELLS = 8
RESAMPLES = 2000


@dataclass(frozen=True)
class Line:
    """One backend's steps: `share[i]` from `factors[i]` (of the profile) on, to the right. low, high: pointwise band.
    best: the share at factor 1, of cells in which nobody was better. failed: cells in which it has no result."""

    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    best: Figure
    failed: int


@dataclass(frozen=True)
class Profile:
    """factors: ascending, the first is 1; lines: backend -> Line; n: cells, failed ones among them."""

    factors: tuple[float, ...]
    lines: Mapping[str, Line]
    n: int

    def to_data(self) -> dict[str, Any]:
        """Plain data for a plot: factors and, for each backend, share, low and high at each of them."""
        return {"factors": list(self.factors), "n": self.n, "lines": {
            name: {"share": list(line.share), "low": list(line.low), "high": list(line.high),
                   "best": line.best.to_data(), "failed": line.failed} for name, line in self.lines.items()}}


def performance_profile(
    costs: Mapping[str, Sequence[Sequence[float]]], confidence: float = CONFIDENCE, seed: int = SEED,
) -> Profile | None:
    """The profile over cells; None below FEWEST_CELLS cells.

    costs: backend -> for each cell, in the same order, the positive costs of its blocks (seconds, bytes: less is
    better); no block at all where that backend failed there: it is then within no factor of the best. A cell's cost
    is the geometric mean of its blocks. The band comes from resampling blocks inside cells, the same ones in all
    backends where they have equally many. Raises ValueError for unequal numbers of cells and for costs that are not
    positive.
    """
    names = list(costs)
    n = len(costs[names[0]]) if names else 0
    if any(len(costs[name]) != n for name in names):
        raise ValueError("every backend needs an entry for each cell")
    if n < FEWEST_CELLS:
        return None
    logs = [[_logs(costs[name][cell]) for cell in range(n)] for name in names]
    ratios = _ratios(np.array([[[_mean(values)] for values in row] for row in logs]))[:, :, 0]
    factors = np.unique(np.append(ratios[np.isfinite(ratios)], 1.0))
    drawn = _shares(_ratios(_resampled(logs, seed)), factors)
    shares = _shares(ratios[:, :, None], factors)[:, :, 0]
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=2)
    method = (f"share of cells in which no backend was better, bootstrap of blocks inside cells, {RESAMPLES} "
              f"resamples, {confidence:.0%} percentile interval")
    lines = {}
    for place, name in enumerate(names):
        best = Figure(float(shares[place, 0]), float(low[place, 0]), float(high[place, 0]), n, "share of cells", method,
                      confidence)
        failed = sum(len(values) == 0 for values in logs[place])
        lines[name] = Line(_tuple(shares[place]), _tuple(low[place]), _tuple(high[place]), best, failed)
    return Profile(_tuple(factors), lines, n)


def _logs(costs: Sequence[float]) -> np.ndarray:
    values = np.asarray(costs, dtype=np.float64)
    if not (np.all(np.isfinite(values)) and np.all(values > 0)):
        raise ValueError("a cost is a positive finite number")
    return np.log(values)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.inf


def _resampled(logs: list[list[np.ndarray]], seed: int) -> np.ndarray:
    """[backends, cells, resamples]: log costs, infinite where failed."""
    rng = np.random.default_rng(seed)
    found = np.full((len(logs), len(logs[0]), RESAMPLES), np.inf)
    for cell in range(found.shape[1]):
        uniform = rng.random((RESAMPLES, max(len(row[cell]) for row in logs)))
        for place, row in enumerate(logs):
            n = len(row[cell])
            if n:
                found[place, cell] = row[cell][(uniform[:, :n] * n).astype(np.int64)].mean(axis=1)
    return found


def _ratios(logs: np.ndarray) -> np.ndarray:
    """Cost over the best backend's, of log costs [backends, cells, ...]; infinite where failed."""
    best = logs.min(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(logs), np.exp(logs - np.where(np.isfinite(best), best, 0.0)), np.inf)


def _shares(ratios: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """[backends, factors, resamples]: the share of the cells within each factor. Ratios [backends, cells, resamples]
    computed twice may differ in the last digit."""
    found = np.empty((ratios.shape[0], len(factors), ratios.shape[2]))
    for place, factor in enumerate(factors):
        found[:, place] = (ratios <= factor * (1 + 1e-12)).mean(axis=1)
    return found


def _tuple(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
