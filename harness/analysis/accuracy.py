"""As accurate? Equivalence over paired seeds, judged at planned numbers of seeds.

Same initial weights and tape per seed in both, so the difference is taken per seed. At every look
(analysis/seed_looks.py) two things are tested, each with an equal share of its error over all looks (Bonferroni): that
the two are equivalent inside the margin (two one-sided t tests), and that they differ at all (the t interval excludes
0). Between looks the last look stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from harness.analysis.seed_looks import ALPHA, LOOKS, all_looks, looks_at
from harness.analysis.statistics import (
    CONFIDENCE,
    Figure,
    correlation,
    equivalence_p_value,
    paired_difference,
    unpaired_difference,
)

# Seeds are said to be enough where the look at them would decide with this probability.
POWER = 0.8
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Need:
    """seeds: further ones, up to a look that decides with the probability `power` if mean and spread stay as they
    are; None where MOST_SEEDS would not do (`power` is then of the largest look tried)."""

    seeds: int | None
    power: float


@dataclass(frozen=True)
class PairedSeeds:
    """outcome: of OUTCOMES of analysis/judgement.py. ahead: 0 or 1, which of the two is better; None without one.

    n: pairs run; used: pairs of the last look (all where none was reached yet). difference: first minus second, at the
    confidence of a look; unpaired: the same by Welch, as if the seeds were not paired. correlation: of the pairs.
    gain: how many times as many seeds the unpaired comparison would need for an interval as narrow; None without
    spread. The sides are in the metric's unit, or as shares of the pairs' mean size where `relative`.
    """

    outcome: str
    ahead: int | None
    n: int
    used: int
    look: int
    next_look: int
    difference: Figure
    unpaired: Figure
    correlation: Figure | None
    gain: float | None
    equivalence_p_value: float | None
    alpha: float
    margin: float
    relative: bool
    need: Need | None

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def judge_seeds(
    a: Sequence[float], b: Sequence[float], margin: float, relative: bool, more_is_better: bool | None = None,
    looks: Sequence[int] = LOOKS,
) -> PairedSeeds:
    """Whether two backends are equally good.

    a, b: the final metric, one finite value per seed, in the order in which the seeds were planned (a look takes the
    first ones). relative: the margin is a share of the values' mean size (a loss), else it is in the metric's own unit
    (0.005 is half a point of accuracy). more_is_better: not where `relative`, unless it is said. looks: beyond the
    last one they double, at the same level each. Raises ValueError for no pairs and for values that are not finite.
    """
    n = len(a)
    if len(b) != n:
        raise ValueError(f"pairs need equally many values, got {n} and {len(b)}")
    seen = looks_at(n, looks)
    used, alpha = seen.used, seen.alpha
    scale = (float(np.mean(np.abs([*a[:used], *b[:used]]))) if relative and used else 1.0) or 1.0
    first, second = [x / scale for x in a[:used]], [x / scale for x in b[:used]]
    unit = "share of the mean" if relative else "difference"
    difference = paired_difference(first, second, unit, 1 - alpha)
    p_value = equivalence_p_value(first, second, margin)
    upward = not relative if more_is_better is None else more_is_better
    outcome, ahead = "not enough evidence", None
    if seen.look:
        outcome, ahead = _outcome(difference, p_value, margin, alpha, upward)
    need = None
    if outcome == "not enough evidence":
        need = seeds_needed(np.asarray(first) - np.asarray(second), margin, n, looks)
    return PairedSeeds(outcome, ahead, n, used, seen.look, seen.following, difference,
                       unpaired_difference(first, second, unit, 1 - alpha), pair_correlation(first, second),
                       pairing_gain(first, second), p_value, alpha, margin, relative, need)


def seeds_needed(
    differences: np.ndarray, margin: float, n: int | None = None, looks: Sequence[int] = LOOKS, power: float = POWER,
) -> Need | None:
    """Further seeds up to the first look that would probably decide.

    differences: those seen, in the margin's unit. n: seeds already run, the differences' number where None. Below two
    differences the spread is not known: then up to the first look, with a power that is not a number.
    """
    n = len(differences) if n is None else n
    ahead = [look for look in takewhile(lambda look: look <= MOST_SEEDS, all_looks(looks)) if look > n]
    if len(differences) < 2:
        return Need(ahead[0] - n, math.nan) if ahead else None
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    found = 0.0
    for look in ahead:
        found = decision_power(mean, spread, look, margin, ALPHA / len(looks))
        if found >= power:
            return Need(look - n, found)
    return Need(None, found)


def decision_power(mean: float, spread: float, n: int, margin: float, alpha: float) -> float:
    """Probability that n pairs show equivalence inside the margin or a difference from 0, whichever is likelier.

    mean, spread: of the normal differences. Noncentral t; for the two one-sided tests the usual approximation by the
    difference of two (Phillips, 1990), which is a little too small at low power.
    """
    # So far from the spread the noncentral t is no number.
    if spread <= 1e-6 * max(abs(mean), margin):
        return 1.0 if abs(mean) < margin or mean != 0 else 0.0
    from scipy import stats

    freedom, unit = n - 1, spread / math.sqrt(n)
    edge = float(stats.t.isf(alpha, freedom))
    below = stats.nct.cdf(-edge, freedom, (mean - margin) / unit)
    inside = below - stats.nct.cdf(edge, freedom, (mean + margin) / unit)
    two_sided = float(stats.t.isf(alpha / 2, freedom))
    apart = stats.nct.sf(two_sided, freedom, abs(mean) / unit)
    return float(min(1.0, max(0.0, np.nan_to_num(inside), np.nan_to_num(apart))))


def pair_correlation(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Figure | None:
    """Pearson's correlation of the pairs, with Fisher's interval from four on; None where a side does not vary."""
    value = correlation(a, b)
    if value is None:
        return None
    low = high = None
    if len(a) >= 4:
        from scipy import stats

        # From exactly 1 on Fisher's transformation is infinite, and the interval a point.
        interval = stats.pearsonr(a, b).confidence_interval(confidence) if abs(value) < 1 else (value, value)
        low, high = float(interval[0]), float(interval[1])
    return Figure(value, low, high, len(a), "correlation", f"Pearson, Fisher's {confidence:.0%} interval", confidence)


def pairing_gain(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Variance of the unpaired difference over that of the paired one; None without spread in the differences."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if len(first) < 2 or np.ptp(first - second) == 0:
        return None
    return float((np.var(first, ddof=1) + np.var(second, ddof=1)) / np.var(first - second, ddof=1))


def _outcome(
    difference: Figure, p_value: float | None, margin: float, alpha: float, more_is_better: bool
) -> tuple[str, int | None]:
    if p_value is not None and p_value < alpha:
        return "no practical difference", None
    low, high = difference.low, difference.high
    if low is None or high is None or low <= 0 <= high:
        return "not enough evidence", None
    ahead = 0 if (low > 0) == more_is_better else 1
    return "better" if min(abs(low), abs(high)) >= margin else "may not matter", ahead
