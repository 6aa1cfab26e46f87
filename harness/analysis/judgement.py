"""What a judgement on one measure of two backends is, and the rule for the times of whole trainings (docs: measuring).

Every judgement is one of OUTCOMES, with a sentence and the figure it rests on. Blocks are judged in
analysis/sequential.py, final metrics in analysis/quality.py. The times of whole trainings are judged over all paired
seeds there are, without looks; below three pairs the outcome is always "not enough evidence".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.settings import backend_title
from harness.analysis.statistics import Figure, paired_log_ratio, pairs_needed

FEWEST_PAIRS = 3
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
    "tokens_per_second": (True, "faster"),
    "end_to_end_samples_per_second": (True, "faster with its own data loading"),
    "evaluation_samples_per_second": (True, "faster in evaluation"),
    "train_seconds": (False, "faster"),
    "first_step_seconds": (False, "faster to the first step"),
    "compile_seconds": (False, "faster to compile"),
    "total_seconds": (False, "faster over the whole run"),
    "time_to_accuracy": (False, "sooner at the target"),
    "latency_p50": (False, "quicker to answer"),
    "latency_p90": (False, "quicker to answer"),
    "latency_p99": (False, "quicker to answer"),
    "peak_bytes": (False, "smaller"),
    "process_peak_bytes": (False, "smaller"),
    "energy": (False, "more frugal"),
    "cost": (False, "cheaper"),
}


@dataclass(frozen=True)
class Judgement:
    """measure: what was judged. outcome: one of OUTCOMES. winner: the better backend, None without one.
    figure: the estimate it rests on; evidence: the same in words. more: how many further repeats to run, None if
    unknown or none is needed. repeat: what is repeated, "paired seed" or "block"."""

    measure: str
    outcome: str
    sentence: str
    figure: Figure | None = None
    winner: str | None = None
    more: int | None = None
    details: dict[str, Any] | None = None
    evidence: str = ""
    repeat: str = "paired seed"

    @property
    def decided(self) -> bool:
        return self.outcome in DECIDED

    def to_data(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "outcome": self.outcome,
            "winner": self.winner,
            "sentence": self.sentence,
            "more": self.more,
            "repeat": self.repeat,
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
    more_is_better = RATIO_MEASURES[measure][0]
    over, under = (a, b) if more_is_better else (b, a)
    figure = paired_log_ratio(over, under)
    edge = math.log1p(margin)
    logs = np.log(np.asarray(over, dtype=np.float64)) - np.log(np.asarray(under, dtype=np.float64))
    low, high = figure.low, figure.high
    shown = names if more_is_better else names[::-1]
    subject = f"{measure} ratio {backend_title(shown[0])}/{backend_title(shown[1])} {figure.value:.3g}"
    if len(logs) < FEWEST_PAIRS or low is None or high is None:
        return _too_few(measure, figure, logs, edge, f"{subject}, {paired_seeds(figure.n)}")
    evidence = f"{subject} (95% interval {low:.3g} to {high:.3g}, {paired_seeds(figure.n)})"
    decided = judge_interval(measure, names, figure, margin, evidence)
    return decided or _too_few(measure, figure, logs, edge, evidence)


def judge_interval(
    measure: str, names: tuple[str, str], figure: Figure, margin: float, evidence: str,
    details: dict[str, Any] | None = None,
) -> Judgement | None:
    """What the interval of a ratio decides; None where it decides nothing. Above 1 the ratio speaks for the first."""
    if figure.low is None or figure.high is None or figure.low <= 0:
        return None
    log_low, log_high, edge = math.log(figure.low), math.log(figure.high), math.log1p(margin)
    word = RATIO_MEASURES[measure][1]
    if -edge < log_low and log_high < edge:
        sentence = f"no practical difference: {evidence}"
        return Judgement(measure, DECIDED[0], sentence, figure, None, None, details, evidence)
    if log_low > 0 or log_high < 0:
        ahead = log_low > 0
        winner = names[0] if ahead else names[1]
        least, most = (figure.low, figure.high) if ahead else (1 / figure.high, 1 / figure.low)
        title = backend_title(winner)
        if least >= 1 + margin:
            sentence = f"{title} {word} by at least {percent(margin)}: {evidence}"
            return Judgement(measure, "better", sentence, figure, winner, None, details, evidence)
        gap = f"{percent(least - 1)} to {percent(most - 1)}"
        sentence = f"{title} {word} by {gap}, may not matter: {evidence}"
        return Judgement(measure, "may not matter", sentence, figure, winner, None, details, evidence)
    return None


def _too_few(measure: str, figure: Figure, differences: np.ndarray, margin: float, evidence: str) -> Judgement:
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
    sentence = f"{OUTCOMES[3]}: {advice} (so far {evidence})"
    return Judgement(measure, OUTCOMES[3], sentence, figure, None, more, None, evidence)


def paired_seeds(n: int) -> str:
    return f"n = {n} paired seed{'' if n == 1 else 's'}"


def percent(share: float) -> str:
    return f"{share * 100:.3g}%"
