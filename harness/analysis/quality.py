"""The judgement on a final metric, in a sentence: paired seeds at the looks of analysis/accuracy.py.

Before the first look nothing is claimed, and the sentence says what was seen so far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.analysis.accuracy import PairedSeeds, judge_seeds
from harness.analysis.judgement import DECIDED, MAY_NOT_MATTER, OUTCOMES, Judgement, paired_seeds, percent
from harness.analysis.seed_looks import LOOKS, SeedLooks, looks_at
from harness.analysis.settings import backend_title


def judge_quality(
    measure: str, names: tuple[str, str], a: Sequence[float], b: Sequence[float], margin: float, relative: bool,
    looks: Sequence[int] = LOOKS, more_is_better: bool | None = None,
) -> Judgement:
    """Whether two backends are equally good in a final metric.

    a, b: one finite value per paired seed, in the order in which the seeds were run. relative: the measure is a loss,
    less is better, and the margin is a share of the pairs' mean size; else more is better and the margin is absolute
    (0.005 is half a point of accuracy). more_is_better: where a relative one is no loss (the return of a game).
    """
    found, seen = judge_seeds(a, b, margin, relative, more_is_better, looks), looks_at(len(a), looks)
    winner = None if found.ahead is None else names[found.ahead]
    evidence = _evidence(names, found, seen)
    sentence = "; ".join([_claim(measure, winner, found, seen, evidence), *seen.remarks(found.outcome in DECIDED)])
    power = None if found.need is None or math.isnan(found.need.power) else found.need.power
    details = {
        "means": {names[0]: float(np.mean(a[:found.used])), names[1]: float(np.mean(b[:found.used]))},
        "seeds": found.n, "look": found.look, "looks": list(looks), "next_look": found.next_look, "used": found.used,
        "margin": margin, "equivalence_p_value": found.equivalence_p_value,
        "pair_correlation": None if found.correlation is None else found.correlation.to_data(),
        "unpaired": found.unpaired.to_data(), "pairing_gain": found.gain,
        "error_probability": found.alpha * found.look, "power": power,
    }
    more = None if found.need is None else found.need.seeds
    doubt = MAY_NOT_MATTER if found.outcome == MAY_NOT_MATTER else ""
    return Judgement(measure, found.outcome, sentence, found.difference, winner, more, details, evidence, doubt=doubt)


def _claim(measure: str, winner: str | None, found: PairedSeeds, seen: SeedLooks, evidence: str) -> str:
    if found.outcome == DECIDED[0]:
        return f"{found.outcome} in {measure} (inside {_size(found)}): {evidence}"
    if winner is None:
        return f"{OUTCOMES[3]} on {measure}: {_advice(found)} ({seen.so_far}{evidence})"
    ending = f" by at least {_size(found)}" if found.outcome == "better" else f", {MAY_NOT_MATTER}"
    return f"{backend_title(winner)} better in {measure}{ending}: {evidence}"


def _advice(found: PairedSeeds) -> str:
    if found.need is None or found.need.seeds is None:
        return "the spread is so large that more seeds alone will hardly decide it"
    more = found.need.seeds
    probably = "" if found.n + more == found.next_look else f", the look at {found.n + more} would probably decide"
    return f"run {more} more paired seed{'' if more == 1 else 's'}{probably}"


def _evidence(names: tuple[str, str], found: PairedSeeds, seen: SeedLooks) -> str:
    """ "PyTorch minus TensorFlow +0.12 points (98.3% interval -0.10 to +0.34, n = 5 paired seeds, look 1 of 3)"."""
    figure, unit = found.difference, "%" if found.relative else " points"
    text = f"{backend_title(names[0])} minus {backend_title(names[1])} {figure.value * 100:+.2f}{unit}"
    parts = [paired_seeds(figure.n)]
    if figure.low is not None and figure.high is not None:
        interval = f"{figure.low * 100:+.2f} to {figure.high * 100:+.2f}"
        parts.insert(0, f"{figure.confidence:.1%} interval {interval}")
    return f"{text} ({', '.join(filter(None, [*parts, seen.name]))})"


def _size(found: PairedSeeds) -> str:
    return percent(found.margin) if found.relative else f"{found.margin * 100:.3g} points"
