"""Which framework: one sentence over all comparisons, and one for each, with what is not known."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from harness.analysis.answer import TierSummary, one_sentence, tier_summaries, unknown
from harness.analysis.certification import Certificates
from harness.analysis.comparison import Comparison, compare, reason_text
from harness.analysis.judgement import RATIO_MEASURES
from harness.analysis.primary import COMMAND, Question
from harness.analysis.sequential import LOOKS
from harness.analysis.settings import Setting, settings
from harness.errors import SpecError, did_you_mean
from harness.records.blocks import Block, read_blocks
from harness.records.certificates import read_certificates
from harness.records.record import Record
from harness.records.store import Store, data_label, model_label
from harness.spec.execution import Execution
from harness.spec.judging import Target, read_target

Blocks = Mapping[str, Sequence[Block]]
TIERS: tuple[str, ...] = get_args(Execution.model_fields["tier"].annotation)
DECIDED, OTHERWISE, NOT_ENOUGH_EVIDENCE = 0, 1, 6


@dataclass(frozen=True)
class Verdict:
    """The answer. `comparisons` has one entry per setting and pair of backends; `summaries` judges those of a tier
    together; `failed` lists the cells that ended without a result; `unknown` says in sentences what the records
    cannot tell."""

    sentence: str
    comparisons: list[Comparison]
    failed: list[dict[str, Any]]
    unknown: list[str]
    primary: str
    margin: float
    accuracy_margin: float
    notes: list[str] = field(default_factory=list)
    summaries: list[TierSummary] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if every comparison is decided, by its accuracy or else by the primary measure; else 6 (not enough
        evidence)."""
        decided = self.comparisons and all(comparison.deciding.decided for comparison in self.comparisons)
        return DECIDED if decided else NOT_ENOUGH_EVIDENCE

    def exit_code_for(self, expected: str | None) -> int:
        """`exit_code`; where that is 0, 1 unless every comparison's answer is the expected one: a backend, or
        "same"."""
        if self.exit_code or expected is None:
            return self.exit_code
        answers = {comparison.answer for comparison in self.comparisons}
        return DECIDED if answers == {expected} else OTHERWISE

    def __str__(self) -> str:
        several = self.comparisons if len(self.comparisons) > 1 else []  # one alone is the sentence itself
        lines = [self.sentence, *(f"- {comparison.sentence}." for comparison in several)]
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
            "summaries": [summary.to_data() for summary in self.summaries],
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
    blocks: Blocks | None = None,
    *,
    looks: Sequence[int] = LOOKS,
    tier: str | None = None,
    target: Target | str | None = None,
    command: str = COMMAND,
    blocks_by: str | None = None,
) -> Verdict:
    """Judges every pair of backends in every setting.

    primary: the measure that decides; one of RATIO_MEASURES, or a final metric by Keras's name. margin:
    the share of the primary measure below which a difference does not matter. accuracy_margin: the same
    for accuracy, as a difference (0.005 is half a point). certificates: key -> certificate as plain data; those of
    the store where None. Without one that says "same", a comparison is "not comparable". blocks: setting -> its timed
    blocks; those of the store where None. looks: the numbers of blocks at which they are judged. tier: judge only
    this one. target: of time_to_accuracy, {metric: value} or a value of the metric that is validated; None takes the
    hardest that all runs reached. command: what to run for more evidence, as it is printed; blocks_by: what to do for
    blocks, where that command measures none. Raises SpecError for an unknown measure, tier or metric, and for a margin
    that is no share.
    """
    if isinstance(records, Store):
        if certificates is None:
            certificates = read_certificates(records.path, records.notes)
        if blocks is None:
            blocks = read_blocks(records.path, records.notes)
    all_records = records.records() if isinstance(records, Store) else list(records)
    for name, value in (("margin", margin), ("accuracy_margin", accuracy_margin)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            raise SpecError(f"verdict.{name} is {value!r}, expected a number above 0 and below 1.")
    _check_primary(primary, all_records)
    target_metric, wanted = _target(read_target(target), all_records)
    question = Question(primary, margin, accuracy_margin, tuple(looks), wanted, target_metric, command, blocks_by)
    found = _of_tier(settings(all_records, blocks), tier)
    backends = sorted({name for setting in found for name in (*setting.backends(), *_timed(setting))})
    comparisons = [compare(setting, a, b, question, certificates or {})
                   for setting in found for a, b in itertools.combinations(backends, 2)]
    failed = [_failed(record) for setting in found for record in setting.failed]
    notes = [f"{setting.title}: {note}." for setting in found for note in setting.notes]
    summaries = tier_summaries(comparisons, question)
    sentence = one_sentence(comparisons, summaries, primary, backends, _machines(found), tier)
    return Verdict(sentence, comparisons, failed, unknown(comparisons, summaries, primary), primary, margin,
                   accuracy_margin, notes, summaries)


def _of_tier(found: list[Setting], tier: str | None) -> list[Setting]:
    if tier is not None and tier not in TIERS:
        raise SpecError(f"there is no tier {tier!r}.", where="tier", hint=did_you_mean(tier, TIERS))
    return [setting for setting in found if tier is None or setting.execution.get("tier") == tier]


def _timed(setting: Setting) -> set[str]:
    """Backends that its blocks timed."""
    return {name for block in setting.blocks for name in block.order}


def _machines(found: Sequence[Setting]) -> list[str]:
    records = [record for setting in found for runs in setting.done.values() for record in runs.values()]
    records += [record for setting in found for record in setting.failed]
    return sorted({str(r.environment["machine"]) for r in records if r.environment.get("machine")})


def _check_primary(primary: str, records: Sequence[Record]) -> None:
    metrics = {name for record in records for name in record.metrics}
    if primary in RATIO_MEASURES or primary in metrics or not records:
        return
    raise SpecError(
        f"there is no measure {primary!r} in these records.",
        where="verdict.primary",
        hint=did_you_mean(primary, [*RATIO_MEASURES, *metrics]),
    )


def _target(given: Target | None, records: Sequence[Record]) -> tuple[str | None, float | None]:
    """(metric or None, value or None). Raises SpecError for a metric that no epoch has."""
    if not isinstance(given, Mapping):
        return None, given
    ((metric, value),) = given.items()
    known = {name for record in records for name in record.history}
    if known and metric not in known:
        raise SpecError(f"no epoch of these records has the metric {metric!r}.", where="verdict.target",
                        hint=did_you_mean(metric, known))
    return metric, value


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
