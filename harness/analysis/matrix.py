"""The verdict over the matrix: wins, ties, losses and what is open, once the number of comparisons is paid for.

Each comparison makes the three claims of `harness.analysis.sequential`; here the p-values of each claim are corrected
by Holm over all comparisons, so that the error probabilities given there hold for the whole matrix and not for each
comparison alone. One comparison by itself comes out as it does there. Comparisons that could not be made are counted
and shown; they are not part of Holm's family, for nothing was tested.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.analysis.factors import COUNTED, LOSS, TIE, UNKNOWN, WIN, Dependence, depends_on, geometric_mean
from harness.analysis.judgement import doubt_of, winner_text
from harness.analysis.performance_profile import Profile, performance_profile
from harness.analysis.sequential import BEYOND, DIRECTION, EQUIVALENCE, LOOKS, evidence
from harness.analysis.settings import backend_title
from harness.analysis.statistics import Figure, student_interval

NOT_COMPARABLE = "not comparable"
FEWEST_BLOCKS = 3


@dataclass(frozen=True)
class Entry:
    """One comparison as it enters the matrix.

    logs: the log ratios of its blocks, above 0 where the first backend is better; of the last look alone, for blocks
    since then were not judged. Empty where nothing can be compared: `reason` says why, and `failed` names the backends
    that ended without a result (out of memory and the like). factors: {factor: value}, all that may explain the winner.
    """

    title: str
    logs: Sequence[float]
    factors: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """A comparison within the matrix. outcome: "win" (of the first backend), "tie", "loss", "unknown" or "not
    comparable". by_margin: better by at least the margin. p_values: of direction, equivalence and beyond the margin,
    corrected by Holm and for the looks. ratio: its interval is at the level at which Holm tested its direction. doubt:
    of a winner that is not better by_margin, see `harness.analysis.judgement.doubt_of`; "" of any other."""

    title: str
    outcome: str
    winner: str | None = None
    by_margin: bool = False
    ratio: Figure | None = None
    p_values: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    doubt: str = ""

    def to_data(self) -> dict[str, Any]:
        return {"title": self.title, "outcome": self.outcome, "winner": self.winner, "by_margin": self.by_margin,
                "doubt": self.doubt or None,
                "ratio": None if self.ratio is None else self.ratio.to_data(), "p_values": dict(self.p_values),
                "reason": self.reason}


@dataclass(frozen=True)
class Matrix:
    """counts: outcome -> comparisons, as seen from the first of `names`. ratio: geometric mean of all cells' ratios of
    first over second. profile: None below 8 cells. dependence: None unless both backends win somewhere."""

    names: tuple[str, str]
    margin: float
    places: tuple[Place, ...]
    counts: Mapping[str, int]
    ratio: Figure | None
    profile: Profile | None
    dependence: Dependence | None
    word: str = "faster"

    @property
    def sentence(self) -> str:
        """Without its full stop."""
        first, second = (backend_title(name) for name in self.names)
        number = len(self.places)
        listing = [*self._winners(WIN, first), *self._winners(LOSS, second), *(
            f"{text} in {self.counts[name]}" for name, text in (
                (TIE, "no practical difference"), (UNKNOWN, "not enough evidence"), (NOT_COMPARABLE, NOT_COMPARABLE))
            if self.counts[name])]
        parts = [f"of {number} comparison{'' if number == 1 else 's'}: {', '.join(listing) or 'none'}"]
        if any(self.counts[name] for name in COUNTED):
            parts[0] += " (after Holm)"
        if self.ratio is not None and self.ratio.low is not None and self.ratio.high is not None:
            parts.append(f"geometric mean of the ratios {first}/{second} {self.ratio.value:.4g} (95% interval "
                         f"{self.ratio.low:.4g} to {self.ratio.high:.4g}, n = {self.ratio.n} cells)")
        if self.dependence is not None:
            parts.append(self.dependence.sentence)
        return "; ".join(parts)

    def _winners(self, outcome: str, title: str) -> list[str]:
        """How often this one is better: without any doubt first, then with each."""
        doubts = Counter(place.doubt for place in self.places if place.outcome == outcome)
        return [f"{winner_text(title, self.word, doubt)}{',' if doubt else ''} in {doubts[doubt]}"
                for doubt in sorted(doubts)]

    def to_data(self) -> dict[str, Any]:
        return {
            "names": list(self.names), "margin": self.margin, "sentence": self.sentence, "counts": dict(self.counts),
            "correction": "Holm over the comparisons, for each claim", "ratio": self.ratio and self.ratio.to_data(),
            "places": [place.to_data() for place in self.places],
            "performance_profile": self.profile and self.profile.to_data(),
            "depends_on": self.dependence and self.dependence.to_data()}


def summarise(
    entries: Sequence[Entry], names: tuple[str, str], margin: float, looks: int = len(LOOKS), word: str = "faster",
) -> Matrix:
    """Judges all comparisons of two backends together.

    names: the two backends. margin: as a share, 0.03 means that less than 3% does not matter. looks: for how many
    looks each comparison's error probability was planned. word: for better, as in RATIO_MEASURES. Give tiers that must
    not be mixed (idiomatic and tuned) to two calls, or `tier` as a factor.
    """
    places = judge_together(entries, names, margin, looks)
    counts = dict.fromkeys((*COUNTED, NOT_COMPARABLE), 0) | Counter(place.outcome for place in places)
    dependence = None
    if counts[WIN] and counts[LOSS]:
        kept = [(entry, place) for entry, place in zip(entries, places, strict=True) if place.outcome in COUNTED]
        dependence = depends_on([entry.logs for entry, _ in kept], [place.outcome for _, place in kept],
                                [entry.factors for entry, _ in kept], names, margin)
    ratio = geometric_mean([entry.logs for entry in entries])
    return Matrix(names, margin, tuple(places), counts, ratio, _profile(entries, names), dependence, word)


def judge_together(
    entries: Sequence[Entry], names: tuple[str, str], margin: float, looks: int = len(LOOKS)
) -> list[Place]:
    """Every comparison's outcome after Holm, in order. Fewer than FEWEST_BLOCKS blocks are "unknown", yet count."""
    tested = [place for place, entry in enumerate(entries) if len(entry.logs)]
    raw = _p_values([entries[place].logs for place in tested], math.log1p(margin))
    holm = np.stack([_holm(np.minimum(1.0, raw[:, claim] * looks)) for claim in range(3)], axis=1)
    levels = DIRECTION / looks / _family(raw[:, 0], holm[:, 0])
    found: dict[int, Place] = {}
    for row, place in enumerate(tested):
        direction, same, beyond = (float(value) for value in holm[row])
        logs = np.asarray(entries[place].logs, dtype=np.float64)
        outcome, winner = UNKNOWN, None
        if same < EQUIVALENCE:
            outcome = TIE
        elif direction < DIRECTION or beyond < BEYOND:
            outcome, winner = (WIN, names[0]) if logs.mean() > 0 else (LOSS, names[1])
        by_margin, figure = winner is not None and beyond < BEYOND, _figure(logs, float(levels[row]))
        found[place] = Place(
            entries[place].title, outcome, winner, by_margin, figure,
            {"direction": direction, "equivalence": same, "beyond_margin": beyond}, entries[place].reason,
            _doubt(figure, margin) if winner is not None and not by_margin else "")
    missing = "nothing was measured in both"
    return [found.get(place) or Place(entry.title, NOT_COMPARABLE, reason=entry.reason or missing)
            for place, entry in enumerate(entries)]


def _doubt(ratio: Figure, margin: float) -> str:
    low, high = ratio.low or 1.0, ratio.high or 1.0
    return doubt_of(low if ratio.value > 1 else 1 / high, margin)


def _p_values(logs: Sequence[Sequence[float]], edge: float) -> np.ndarray:
    """[comparisons, 3]: direction, equivalence, beyond the margin, each comparison alone; 1 where there are too few
    blocks. Comparisons of equally many blocks are computed in one go."""
    found = np.ones((len(logs), 3))
    sizes = [len(values) for values in logs]
    for size in sorted({size for size in sizes if size >= FEWEST_BLOCKS}):
        places = [place for place, other in enumerate(sizes) if other == size]
        one = evidence(np.array([logs[place] for place in places], dtype=np.float64), edge)
        found[places] = np.stack([one.direction, one.equivalence, one.beyond], axis=1)
    return found


def _holm(p_values: np.ndarray) -> np.ndarray:
    if not len(p_values):
        return p_values
    from statsmodels.stats.multitest import multipletests

    return np.asarray(multipletests(p_values, method="holm")[1])


def _family(p_values: np.ndarray, corrected: np.ndarray) -> np.ndarray:
    """By how many Holm divides each comparison's level: all for the smallest p, fewer after each rejection."""
    order = np.argsort(p_values, kind="stable")
    rank = np.empty(len(p_values))
    rank[order] = np.arange(len(p_values))
    return len(p_values) - np.minimum(rank, np.sum(corrected < DIRECTION))


def _figure(logs: np.ndarray, level: float) -> Figure:
    confidence = 1 - level
    mean, low, high = student_interval(logs, confidence)
    low, high = (None if end is None else math.exp(end) for end in (low, high))
    return Figure(math.exp(mean), low, high, len(logs), "ratio",
                  f"paired log-ratio of blocks, Student t, {confidence:.4g} interval (Holm)", confidence)


def _profile(entries: Sequence[Entry], names: tuple[str, str]) -> Profile | None:
    """Of the cells that say something: the second backend's cost is 1 in every block, the first's is 1 over the ratio;
    a backend that failed has none, and one that ran where the other failed is the best there."""
    costs: dict[str, list[list[float]]] = {name: [] for name in names}
    for entry in entries:
        failed = [name in entry.failed for name in names]
        if not len(entry.logs) and not any(failed):
            continue
        ones = [1.0] * max(len(entry.logs), 1)
        first = np.exp(-np.asarray(entry.logs, dtype=np.float64)).tolist() if len(entry.logs) else ones
        costs[names[0]].append([] if failed[0] else first)
        costs[names[1]].append([] if failed[1] else ones)
    return performance_profile(costs)
