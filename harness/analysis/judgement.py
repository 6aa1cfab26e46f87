"""The rules by which one measure of two backends is judged (docs: measuring).

Every judgement is one of OUTCOMES, with a sentence and the figure it rests on. Below three pairs the
outcome is always "not enough evidence".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.settings import backend_title
from harness.analysis.statistics import (
    Figure,
    correlation,
    equivalence_p_value,
    paired_difference,
    paired_log_ratio,
    pairs_needed,
    unpaired_difference,
)

FEWEST_PAIRS = 3
ALPHA = 0.05
OUTCOMES = (
    "no practical difference",
    "better",  # by at least the margin
    "may not matter",  # better, but perhaps by less than the margin
    "not enough evidence",
    "not comparable",
)
DECIDED = OUTCOMES[:3]
# Measures judged by their ratio: whether more is better, and the word for better.
RATIO_MEASURES = {
    "samples_per_second": (True, "faster"),
    "train_seconds": (False, "faster"),
    "first_step_seconds": (False, "faster to the first step"),
    "total_seconds": (False, "faster over the whole run"),
    "peak_bytes": (False, "smaller"),
    "process_peak_bytes": (False, "smaller"),
}


@dataclass(frozen=True)
class Judgement:
    """measure: what was judged. outcome: one of OUTCOMES. winner: the better backend, None without one.
    figure: the estimate it rests on; evidence: the same in words. more: further pairs to run, None if unknown or none
    is needed."""

    measure: str
    outcome: str
    sentence: str
    figure: Figure | None = None
    winner: str | None = None
    more: int | None = None
    details: dict[str, Any] | None = None
    evidence: str = ""

    @property
    def decided(self) -> bool:
        return self.outcome in DECIDED

    def to_data(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "outcome": self.outcome,
            "winner": self.winner,
            "sentence": self.sentence,
            "more_pairs": self.more,
            "figure": None if self.figure is None else self.figure.to_data(),
            "details": self.details or {},
        }


def not_comparable(measure: str, why: str) -> Judgement:
    return Judgement(measure, "not comparable", f"not comparable: {why}")


def withheld(judgement: Judgement, why: str) -> Judgement:
    """The same figure without a verdict: what was measured is no comparison of the frameworks."""
    if judgement.outcome == "not comparable":
        return judgement
    sentence = f"not comparable: {why}" + (f" (measured: {judgement.evidence})" if judgement.evidence else "")
    return replace(judgement, outcome="not comparable", winner=None, more=None, sentence=sentence)


def judge_ratio(
    measure: str, names: tuple[str, str], a: Sequence[float], b: Sequence[float], margin: float
) -> Judgement:
    """Which of two backends is better in a measure where proportions count.

    a, b: one positive value per pair. margin: 0.03 means that less than 3% does not matter. The figure's
    ratio is a over b where more is better and b over a where less is, so above 1 always speaks for a.
    """
    more_is_better, word = RATIO_MEASURES[measure]
    over, under = (a, b) if more_is_better else (b, a)
    figure = paired_log_ratio(over, under)
    edge = math.log1p(margin)
    logs = np.log(np.asarray(over, dtype=np.float64)) - np.log(np.asarray(under, dtype=np.float64))
    low, high = figure.low, figure.high
    shown = names if more_is_better else names[::-1]
    subject = f"{measure} ratio {backend_title(shown[0])}/{backend_title(shown[1])} {figure.value:.3g}"
    if len(logs) < FEWEST_PAIRS or low is None or high is None:
        return _too_few(measure, figure, logs, edge, f"{subject}, {_pairs(figure.n)}")
    evidence = f"{subject} (95% interval {low:.3g} to {high:.3g}, {_pairs(figure.n)})"
    log_low, log_high = math.log(low), math.log(high)
    if -edge < log_low and log_high < edge:
        return Judgement(measure, DECIDED[0], f"no practical difference: {evidence}", figure, evidence=evidence)
    if log_low > 0 or log_high < 0:
        ahead = log_low > 0
        winner = names[0] if ahead else names[1]
        least, most = (low, high) if ahead else (1 / high, 1 / low)
        title = backend_title(winner)
        if least >= 1 + margin:
            sentence = f"{title} {word} by at least {_percent(margin)}: {evidence}"
            return Judgement(measure, "better", sentence, figure, winner, evidence=evidence)
        gap = f"{_percent(least - 1)} to {_percent(most - 1)}"
        sentence = f"{title} {word} by {gap}, may not matter: {evidence}"
        return Judgement(measure, "may not matter", sentence, figure, winner, evidence=evidence)
    return _too_few(measure, figure, logs, edge, evidence)


def judge_quality(
    measure: str,
    names: tuple[str, str],
    a: Sequence[float],
    b: Sequence[float],
    margin: float,
    relative: bool,
) -> Judgement:
    """Whether two backends are equally good: TOST on paired differences, inside the margin.

    relative: the measure is a loss, less is better, and the margin is a share of the pairs' mean size;
    else more is better and the margin is absolute (0.005 is half a point of accuracy).
    """
    scale = float(np.mean(np.abs([*a, *b]))) if relative else 1.0
    scale = scale or 1.0
    first, second = [x / scale for x in a], [x / scale for x in b]
    unit = "share of the mean" if relative else "difference"
    figure = paired_difference(first, second, unit)
    differences = np.asarray(first) - np.asarray(second)
    details = {
        "means": {names[0]: float(np.mean(a)), names[1]: float(np.mean(b))},
        "equivalence_p_value": equivalence_p_value(first, second, margin),
        "pair_correlation": correlation(first, second),
        "unpaired": unpaired_difference(first, second, unit).to_data(),
        "margin": margin,
    }
    evidence = _quality_evidence(measure, names, figure, relative)
    if figure.n < FEWEST_PAIRS or figure.low is None or figure.high is None:
        return _too_few(measure, figure, differences, margin, evidence, details)
    p_value = details["equivalence_p_value"]
    if isinstance(p_value, float) and p_value < ALPHA:
        sentence = f"no practical difference in {measure} (inside {_size(margin, relative)}): {evidence}"
        return Judgement(measure, DECIDED[0], sentence, figure, None, None, details, evidence)
    if figure.low > 0 or figure.high < 0:
        upper = figure.low > 0
        winner = names[0] if upper != relative else names[1]
        least = min(abs(figure.low), abs(figure.high))
        outcome = "better" if least >= margin else "may not matter"
        ending = f" by at least {_size(margin, relative)}" if outcome == "better" else ", may not matter"
        sentence = f"{backend_title(winner)} better in {measure}{ending}: {evidence}"
        return Judgement(measure, outcome, sentence, figure, winner, None, details, evidence)
    return _too_few(measure, figure, differences, margin, evidence, details)


def _too_few(
    measure: str,
    figure: Figure,
    differences: np.ndarray,
    margin: float,
    evidence: str,
    details: dict[str, Any] | None = None,
) -> Judgement:
    """ "not enough evidence: run N more", with what was seen so far."""
    n = len(differences)
    needed = pairs_needed(differences, margin)
    if n < FEWEST_PAIRS:
        needed = max(needed or FEWEST_PAIRS, FEWEST_PAIRS)
    if needed is None:
        advice = "the spread is so large that more seeds alone will hardly decide it"
    else:
        advice = f"run {needed - n} more paired seed{'s' if needed - n > 1 else ''}"
    more = None if needed is None else needed - n
    sentence = f"not enough evidence: {advice} (so far {evidence})"
    return Judgement(measure, "not enough evidence", sentence, figure, None, more, details, evidence)


def _quality_evidence(measure: str, names: tuple[str, str], figure: Figure, relative: bool) -> str:
    difference = f"{backend_title(names[0])} minus {backend_title(names[1])}"
    unit, factor = ("%", 100) if relative else (" points", 100)
    text = f"{difference} {figure.value * factor:+.2f}{unit}"
    if figure.low is not None and figure.high is not None:
        text += f" (95% interval {figure.low * factor:+.2f} to {figure.high * factor:+.2f}, {_pairs(figure.n)})"
    else:
        text += f" ({_pairs(figure.n)})"
    return text


def _pairs(n: int) -> str:
    return f"n = {n} paired seed{'' if n == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _size(margin: float, relative: bool) -> str:
    return _percent(margin) if relative else f"{margin * 100:.3g} points"
