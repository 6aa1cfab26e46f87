"""Which framework: one sentence over all comparisons, and one for each, with what is not known."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.certification import Certificates
from harness.analysis.comparison import Comparison, compare, reason_text
from harness.analysis.judgement import FEWEST_PAIRS, RATIO_MEASURES
from harness.analysis.settings import backend_title, settings
from harness.errors import SpecError, did_you_mean
from harness.records.certificates import DIFFERENT, read_certificates
from harness.records.record import Record
from harness.records.store import Store, data_label, model_label

UNPAIRED_BLOCKS = (
    "Throughput is paired by seed, one process each, not measured in interleaved blocks: drift of the "
    "machine between two runs is part of the spread."
)


@dataclass(frozen=True)
class Verdict:
    """The answer. `comparisons` has one entry per setting and pair of backends; `failed` lists the cells
    that ended without a result; `unknown` says in sentences what the records cannot tell."""

    sentence: str
    comparisons: list[Comparison]
    failed: list[dict[str, Any]]
    unknown: list[str]
    primary: str
    margin: float
    accuracy_margin: float
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if the primary measure is decided in every comparison, else 6 (not enough evidence)."""
        decided = self.comparisons and all(comparison.primary.decided for comparison in self.comparisons)
        return 0 if decided else 6

    def __str__(self) -> str:
        lines = [self.sentence, *(f"- {comparison.sentence}." for comparison in self.comparisons)]
        lines += [f"- failed: {cell['title']}: {cell['reason']}" for cell in self.failed]
        return "\n".join([*lines, "Not known:", *(f"- {sentence}" for sentence in self.unknown)])

    def to_data(self) -> dict[str, Any]:
        return {
            "sentence": self.sentence,
            "exit_code": self.exit_code,
            "primary": self.primary,
            "margin": self.margin,
            "accuracy_margin": self.accuracy_margin,
            "comparisons": [comparison.to_data() for comparison in self.comparisons],
            "failed": self.failed,
            "unknown": self.unknown,
            "notes": self.notes,
        }


def which(
    records: Store | Iterable[Record],
    primary: str = "samples_per_second",
    margin: float = 0.03,
    accuracy_margin: float = 0.005,
    certificates: Certificates | None = None,
) -> Verdict:
    """Judges every pair of backends in every setting.

    primary: the measure that decides; one of RATIO_MEASURES, or a final metric by Keras's name. margin:
    the share of the primary measure below which a difference does not matter. accuracy_margin: the same
    for accuracy, as a difference (0.005 is half a point). certificates: key -> certificate as plain data; those of
    the store where None. Without one that says "same", a comparison is "not comparable". Raises SpecError for an
    unknown measure.
    """
    all_records = records.records() if isinstance(records, Store) else list(records)
    if certificates is None:
        certificates = read_certificates(records.path, records.notes) if isinstance(records, Store) else {}
    for name, value in (("margin", margin), ("accuracy_margin", accuracy_margin)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            raise SpecError(f"verdict.{name} is {value!r}, expected a number above 0 and below 1.")
    _check_primary(primary, all_records)
    found = settings(all_records)
    backends = sorted({record.backend for record in all_records})
    comparisons = [
        compare(setting, a, b, primary, margin, accuracy_margin, certificates)
        for setting in found
        for a, b in itertools.combinations(backends, 2)
    ]
    failed = [_failed(record) for setting in found for record in setting.failed]
    notes = [f"{setting.title}: {note}." for setting in found for note in setting.notes]
    unknown = _unknown(comparisons, primary)
    sentence = _answer(comparisons, all_records, backends, primary)
    return Verdict(sentence, comparisons, failed, unknown, primary, margin, accuracy_margin, notes)


def _check_primary(primary: str, records: Sequence[Record]) -> None:
    metrics = {name for record in records for name in record.metrics}
    if primary in RATIO_MEASURES or primary in metrics or not records:
        return
    raise SpecError(
        f"there is no measure {primary!r} in these records.",
        where="verdict.primary",
        hint=did_you_mean(primary, [*RATIO_MEASURES, *metrics]),
    )


def _failed(record: Record) -> dict[str, Any]:
    reason = record.reason or {}
    return {
        "id": record.id,
        "title": f"{model_label(record)}, {data_label(record)}, {record.backend}, seed {record.seed}",
        "backend": record.backend,
        "seed": record.seed,
        "kind": reason.get("kind", "unknown"),
        "reason": reason_text(record),
    }


def _unknown(comparisons: Sequence[Comparison], primary: str) -> list[str]:
    unknown = [UNPAIRED_BLOCKS] if primary in RATIO_MEASURES else []
    if len(comparisons) > 1:
        unknown.append(
            f"The intervals are for each of the {len(comparisons)} comparisons alone; they are not widened "
            "for their number."
        )
    for comparison in comparisons:
        title, proof = comparison.setting.title, comparison.certification
        if comparison.seeds and not proof.certified:
            unknown.append(f"{title}: whether the two trainings are the same is {_not_known(proof.label)}.")
        elif proof.horizon is not None and proof.whole_runs is not None and proof.whole_runs.status != "passed":
            unknown.append(
                f"{title}: past step {proof.horizon} rounding alone carries a training a hundredth as far as another "
                f"seed does; that whole runs are the same is R5 ({proof.whole_runs.sentence})."
            )
        if 0 < len(comparison.seeds) < FEWEST_PAIRS:
            pairs = "1 paired seed says" if len(comparison.seeds) == 1 else f"{len(comparison.seeds)} paired seeds say"
            unknown.append(f"{title}: {pairs} nothing about the spread.")
        if not comparison.quality.decided and comparison.quality.outcome != "not comparable":
            unknown.append(f"{title}: whether {comparison.quality.measure} is equal is not settled.")
        unknown += [f"{title}: {caution}." for caution in comparison.cautions]
    return unknown


def _not_known(label: str) -> str:
    return "known, and they are not: the figures compare two different trainings" if label == DIFFERENT else label


def _answer(comparisons: Sequence[Comparison], records: Sequence[Record], backends: Sequence[str], primary: str) -> str:
    """The one sentence."""
    if not records:
        return "No answer yet: there are no records."
    if len(backends) < 2:
        return f"No answer: only {backend_title(backends[0])} was run, there is nothing to compare it with."
    machines = sorted({str(r.environment["machine"]) for r in records if r.environment.get("machine")})
    place = f" on {', '.join(machines)}" if machines else ""
    if len(comparisons) == 1:
        return f"{comparisons[0].sentence}{'; measured' + place if place else ''}."
    return _summary(comparisons, primary, place)


def _summary(comparisons: Sequence[Comparison], primary: str, place: str) -> str:
    parts = [f"Of {len(comparisons)} comparisons{place}: {_tally(comparisons, primary)}"]
    reversed_ = [comparison for comparison in comparisons if comparison.reversed_by_startup]
    if reversed_:
        slow = Counter(backend_title(comparison.startup.slow) for comparison in reversed_ if comparison.startup)
        listing = ", ".join(f"{name} finished first in {count}" for name, count in sorted(slow.items()))
        parts.append(f"compilation included, {listing} of these trainings")
    quality = Counter(comparison.quality.outcome for comparison in comparisons)
    parts.append("final accuracy or loss: " + ", ".join(f"{name} in {n}" for name, n in sorted(quality.items())))
    labels = Counter(comparison.certification.label for comparison in comparisons if comparison.seeds)
    if labels:
        parts.append("training equality: " + ", ".join(f"{name} in {n}" for name, n in sorted(labels.items())))
    distances = [comparison.distance.relative for comparison in comparisons if comparison.distance]
    if distances:
        parts.append(f"largest relative loss distance {max(distances):.2g}")
    return "; ".join(parts) + "."


def _tally(comparisons: Sequence[Comparison], primary: str) -> str:
    """ "PyTorch faster in 3 (1.2 to 1.9 times), no practical difference in 1"."""
    word = RATIO_MEASURES[primary][1] if primary in RATIO_MEASURES else f"better in {primary}"
    found: dict[str, list[float]] = {}
    for first in (comparison.primary for comparison in comparisons):
        text = first.outcome
        if first.winner is not None:
            text = f"{backend_title(first.winner)} {word}" + (", may not matter," if text != "better" else "")
        ratio = first.figure.value if first.figure and first.winner and primary in RATIO_MEASURES else math.nan
        found.setdefault(text, []).append(max(ratio, 1 / ratio))
    listing = []
    for text, ratios in sorted(found.items()):
        low, high = f"{min(ratios):.3g}", f"{max(ratios):.3g}"
        times = "" if math.isnan(ratios[0]) else f" ({low} times)" if low == high else f" ({low} to {high} times)"
        listing.append(f"{text} in {len(ratios)}{times}")
    return ", ".join(listing)
