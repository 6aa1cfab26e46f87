"""The one sentence over all comparisons, and what the records cannot tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.comparison import Comparison
from harness.analysis.judgement import FEWEST_PAIRS, RATIO_MEASURES, Judgement, winner_text
from harness.analysis.matrix import Entry, Matrix, summarise
from harness.analysis.primary import MEMORY, Question
from harness.analysis.settings import backend_title
from harness.records.certificates import DIFFERENT

WHOLE_TRAININGS = (
    "{} is of whole trainings, paired by seed, one process each, not measured in interleaved blocks: drift of the "
    "machine between two runs is part of the spread."
)


@dataclass(frozen=True)
class TierSummary:
    """All comparisons of two backends in one tier, judged together. waiting: those that have no blocks, or fewer than
    the first look takes; they are in `matrix` in no way."""

    tier: str
    matrix: Matrix
    waiting: int = 0

    @property
    def sentence(self) -> str:
        """ "tuned, of 3 comparisons: PyTorch faster in 2, ..."."""
        waiting = f"; not enough blocks yet in {self.waiting} further" if self.waiting else ""
        return f"{self.tier}, {self.matrix.sentence}{waiting}"

    def to_data(self) -> dict[str, Any]:
        return {"tier": self.tier, "waiting": self.waiting, **self.matrix.to_data(), "sentence": self.sentence}


def tier_summaries(comparisons: Sequence[Comparison], question: Question) -> list[TierSummary]:
    """One for every tier and pair of backends with at least two comparisons, one of them judged by its blocks."""
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for comparison in comparisons:
        tier = str(comparison.setting.execution.get("tier"))
        groups.setdefault((tier, comparison.a, comparison.b), []).append(comparison)
    found = []
    for (tier, a, b), members in sorted(groups.items()):
        entries = [entry for member in members if (entry := _entry(member)) is not None]
        if len(members) > 1 and any(len(entry.logs) for entry in entries):
            matrix = summarise(entries, (a, b), question.margin, len(question.looks),
                               RATIO_MEASURES[question.primary][1])
            found.append(TierSummary(tier, matrix, len(members) - len(entries)))
    return found


def _entry(comparison: Comparison) -> Entry | None:
    """With the log ratios of the last look, without any where nothing may be compared; None before the first look."""
    judgement, setting = comparison.primary, comparison.setting
    details = judgement.details or {}
    logs: list[float] = []
    if judgement.outcome != "not comparable":
        if not details.get("look") or "log_ratios" not in details:
            return None
        logs = details["log_ratios"][: details["used"]]
    failed = tuple(name for name in (comparison.a, comparison.b) if not setting.done.get(name)
                   and any(record.backend == name for record in setting.failed))
    factors = {"model": setting.model, "data": setting.data, **setting.factors}
    return Entry(setting.title, logs, factors, None if logs else judgement.sentence, failed)


def one_sentence(
    comparisons: Sequence[Comparison], summaries: Sequence[TierSummary], primary: str, backends: Sequence[str],
    machines: Sequence[str], tier: str | None = None,
) -> str:
    """The answer. backends: those that ran anything. tier: the only one that is asked for."""
    if not backends:
        return f"No answer yet: there are no records{f' of tier {tier}' if tier else ''}."
    if len(backends) < 2:
        return f"No answer: only {backend_title(backends[0])} was run, there is nothing to compare it with."
    place = f" on {', '.join(machines)}" if machines else ""
    if len(comparisons) == 1:
        return f"{comparisons[0].sentence}{'; measured' + place if place else ''}."
    parts = [f"Of {len(comparisons)} comparisons{place}: {_tally(comparisons, primary)}",
             *(summary.sentence for summary in summaries), *_startup(comparisons)]
    quality = Counter(comparison.quality.outcome for comparison in comparisons)
    parts.append("final accuracy or loss: " + ", ".join(f"{name} in {n}" for name, n in sorted(quality.items())))
    labels = Counter(comparison.certification.label for comparison in comparisons if comparison.seeds)
    if labels:
        parts.append("training equality: " + ", ".join(f"{name} in {n}" for name, n in sorted(labels.items())))
    distances = [comparison.distance.relative for comparison in comparisons if comparison.distance]
    if distances:
        parts.append(f"largest relative loss distance {max(distances):.2g}")
    return "; ".join(parts) + "."


def _startup(comparisons: Sequence[Comparison]) -> list[str]:
    slow = Counter(backend_title(comparison.startup.slow) for comparison in comparisons
                   if comparison.reversed_by_startup and comparison.startup)
    listing = ", ".join(f"{name} finished first in {count}" for name, count in sorted(slow.items()))
    return [f"compilation included, {listing} of these trainings"] if listing else []


def _tally(comparisons: Sequence[Comparison], primary: str) -> str:
    """ "PyTorch faster in 3 (1.2 to 1.9 times), no practical difference in 1", each comparison by itself."""
    word = RATIO_MEASURES[primary][1] if primary in RATIO_MEASURES else f"better in {primary}"
    found: dict[str, list[float]] = {}
    for first in (comparison.primary for comparison in comparisons):
        text = first.outcome
        if first.winner is not None:
            text = winner_text(backend_title(first.winner), word, first.doubt) + ("," if first.doubt else "")
        found.setdefault(text, []).append(_times(first, primary))
    listing = []
    for text, ratios in sorted(found.items()):
        low, high = f"{min(ratios):.3g}", f"{max(ratios):.3g}"
        times = "" if math.isnan(ratios[0]) else f" ({low} times)" if low == high else f" ({low} to {high} times)"
        listing.append(f"{text} in {len(ratios)}{times}")
    return ", ".join(listing)


def _times(first: Judgement, primary: str) -> float:
    ratio = first.figure.value if first.figure and first.winner and primary in RATIO_MEASURES else math.nan
    return max(ratio, 1 / ratio)


def unknown(comparisons: Sequence[Comparison], summaries: Sequence[TierSummary], primary: str) -> list[str]:
    """What the records cannot tell, in sentences."""
    said = []
    whole = [comparison for comparison in comparisons if comparison.primary.repeat != "block"]
    if whole and primary in RATIO_MEASURES and primary not in MEMORY and any(member.seeds for member in whole):
        said.append(WHOLE_TRAININGS.format(primary))
    if len(comparisons) > 1:
        alone = f"The intervals are for each of the {len(comparisons)} comparisons alone; they are not widened for " \
                "their number"
        said.append(f"{alone}, as the counts over all of them are (Holm)." if summaries else f"{alone}.")
    for comparison in comparisons:
        title, proof = comparison.setting.title, comparison.certification
        if comparison.seeds and not proof.certified:
            said.append(f"{title}: whether the two trainings are the same is {_not_known(proof.label)}.")
        elif proof.horizon is not None and proof.whole_runs is not None and proof.whole_runs.status != "passed":
            said.append(
                f"{title}: past step {proof.horizon} rounding alone carries a training a hundredth as far as another "
                f"seed does; that whole runs are the same is R5 ({proof.whole_runs.sentence})."
            )
        if 0 < len(comparison.seeds) < FEWEST_PAIRS:
            pairs = "1 paired seed says" if len(comparison.seeds) == 1 else f"{len(comparison.seeds)} paired seeds say"
            said.append(f"{title}: {pairs} nothing about the spread between seeds.")
        if not comparison.quality.decided and comparison.quality.outcome != "not comparable":
            said.append(f"{title}: whether {comparison.quality.measure} is equal is not settled.")
        said += [f"{title}: {caution}." for caution in comparison.cautions]
    return said


def _not_known(label: str) -> str:
    return "known, and they are not: the figures compare two different trainings" if label == DIFFERENT else label
