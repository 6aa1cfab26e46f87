"""What a judgement on one measure of two backends is, and the rule for the times of whole trainings (docs: measuring).

Every judgement is one of OUTCOMES, with a sentence and the figure it rests on. Blocks are judged in
analysis/sequential.py, final metrics in analysis/quality.py. The times and the memory of whole trainings are judged at
the same looks as final metrics; before the first the outcome is always "not enough evidence".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.accuracy import seeds_needed
from harness.analysis.seed_looks import LOOKS, SeedLooks, looks_at
from harness.analysis.settings import backend_title
from harness.analysis.statistics import Figure, paired_log_ratio

FEWEST_PAIRS = 3
OUTCOMES = (
    "no practical difference",
    "better",  # by at least the margin
    "may not matter",  # better, but not shown to be so by at least the margin: `Judgement.doubt` says which of both
    "not enough evidence",
    "not comparable",
)
MAY_NOT_MATTER = OUTCOMES[2]
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
    unknown or none is needed. repeat: what is repeated, "paired seed" or "block". doubt: of a winner that is not shown
    to be better by at least the margin, see `doubt_of`; "" of any other."""

    measure: str
    outcome: str
    sentence: str
    figure: Figure | None = None
    winner: str | None = None
    more: int | None = None
    details: dict[str, Any] | None = None
    evidence: str = ""
    repeat: str = "paired seed"
    doubt: str = ""

    @property
    def decided(self) -> bool:
        return self.outcome in DECIDED

    def to_data(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "outcome": self.outcome,
            "winner": self.winner,
            "doubt": self.doubt or None,
            "sentence": self.sentence,
            "more": self.more,
            "repeat": self.repeat,
            "figure": None if self.figure is None else self.figure.to_data(),
            "details": self.details or {},
        }


def doubt_of(least: float, margin: float) -> str:
    """What is said of a winner that is not shown to be better by at least the margin. least: the end of the shown
    interval that is nearer to 1, of the winner over the other. Beyond the margin is a claim of its own, held to a
    stricter level than the interval that is shown: an interval beyond the margin alone does not prove it."""
    return f"at least {percent(margin)} not proven yet" if least >= 1 + margin else MAY_NOT_MATTER


def winner_text(title: str, word: str, doubt: str) -> str:
    """ "PyTorch faster", "PyTorch faster, may not matter", "PyTorch faster, at least 3% not proven yet"."""
    return f"{title} {word}, {doubt}" if doubt else f"{title} {word}"


def not_comparable(measure: str, why: str) -> Judgement:
    return Judgement(measure, "not comparable", f"not comparable: {why}")


def withheld(judgement: Judgement, why: str) -> Judgement:
    """The same figure without a verdict: what was measured is no comparison of the frameworks."""
    if judgement.outcome == "not comparable":
        return judgement
    sentence = f"not comparable: {why}" + (f" (measured: {judgement.evidence})" if judgement.evidence else "")
    return replace(judgement, outcome="not comparable", winner=None, more=None, doubt="", sentence=sentence)


def judge_ratio(
    measure: str, names: tuple[str, str], a: Sequence[float], b: Sequence[float], margin: float,
    looks: Sequence[int] = LOOKS,
) -> Judgement:
    """Which of two backends is better in a measure of whole trainings where proportions count, at the planned looks.

    a, b: one positive value per pair, in the order in which the pairs were finished. margin: 0.03 means that less than
    3% does not matter. looks: numbers of pairs. The figure's ratio is a over b where more is better and b over a where
    less is, so above 1 always speaks for a.
    """
    more_is_better, seen = RATIO_MEASURES[measure][0], looks_at(len(a), looks)
    over, under = (a, b) if more_is_better else (b, a)
    figure = paired_log_ratio(over[:seen.used], under[:seen.used], confidence=1 - seen.alpha)
    shown = names if more_is_better else names[::-1]
    subject = f"{measure} ratio {backend_title(shown[0])}/{backend_title(shown[1])} {figure.value:.3g}"
    evidence = f"{subject} ({shown_interval(figure, seen)})"
    logs = np.log(np.asarray(over, dtype=np.float64)) - np.log(np.asarray(under, dtype=np.float64))
    need = seeds_needed(logs[:seen.used], math.log1p(margin), seen.n, looks)
    return judge_looks(measure, names, figure, margin, seen, evidence, None if need is None else need.seeds)


def judge_looks(
    measure: str, names: tuple[str, str], figure: Figure, margin: float, seen: SeedLooks, evidence: str,
    more: int | None, details: dict[str, Any] | None = None,
) -> Judgement:
    """What the interval of the last look decides. more: pairs to run where it decides nothing, None where more alone
    will hardly do."""
    told = {**(details or {}), "seeds": seen.n, "look": seen.look, "used": seen.used, "next_look": seen.following,
            "looks": list(seen.looks), "error_probability": seen.alpha * seen.look}
    decided = judge_interval(measure, names, figure, margin, evidence, told) if seen.look else None
    if decided is not None:
        return replace(decided, sentence="; ".join([decided.sentence, *seen.remarks(True)]))
    advice = "the spread is so large that more seeds alone will hardly decide it"
    if more is not None:
        advice = f"run {more} more paired seed{'' if more == 1 else 's'}"
    sentence = "; ".join([f"{OUTCOMES[3]}: {advice} ({seen.so_far}{evidence})", *seen.remarks(False)])
    return Judgement(measure, OUTCOMES[3], sentence, figure, None, more, told, evidence)


def shown_interval(figure: Figure, seen: SeedLooks) -> str:
    """ "98.3% interval 1.08 to 1.16, n = 5 paired seeds, look 1 of 3"."""
    ends = ""
    if figure.low is not None and figure.high is not None:
        ends = f"{figure.confidence * 100:.3g}% interval {figure.low:.3g} to {figure.high:.3g}"
    return ", ".join(filter(None, [ends, paired_seeds(figure.n), seen.name]))


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
        gap, doubt = f"{percent(least - 1)} to {percent(most - 1)}", doubt_of(least, margin)
        sentence = f"{title} {word} by {gap}, {doubt}: {evidence}"
        return Judgement(measure, OUTCOMES[2], sentence, figure, winner, None, details, evidence, doubt=doubt)
    return None


def paired_seeds(n: int) -> str:
    return f"n = {n} paired seed{'' if n == 1 else 's'}"


def percent(share: float) -> str:
    return f"{share * 100:.3g}%"
