"""Two backends in one setting: may they be compared, and what do their records say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.blocks import PairedBlocks, pair_blocks
from harness.analysis.certification import Certificates, Certification, certification
from harness.analysis.curves import LossDistance, largest_distance
from harness.analysis.judgement import Judgement, not_comparable, withheld
from harness.analysis.primary import LOSS_MARGIN, Question, judge_cells, judge_primary, quality_measure
from harness.analysis.settings import Setting, backend_title
from harness.analysis.startup import StartUp, break_even_steps, start_up
from harness.analysis.throughput import measure
from harness.analysis.whole_runs import whole_runs
from harness.records.record import Record


@dataclass(frozen=True)
class Comparison:
    """Two backends in one setting. a, b: their names; seeds: the pairs; certification: what is proved of their
    trainings; distance: what the losses showed; blocks: in which they were timed, None without any. minutes: what the
    evidence that is missing would take."""

    setting: Setting
    a: str
    b: str
    seeds: list[int]
    primary: Judgement
    quality: Judgement
    certification: Certification
    distance: LossDistance | None
    cautions: list[str]
    minutes: float | None = None
    startup: StartUp | None = None
    blocks: PairedBlocks | None = None

    @property
    def deciding(self) -> Judgement:
        """Accuracy where it differs by at least its margin, else the primary measure."""
        return self.quality if self.quality.outcome == "better" else self.primary

    @property
    def answer(self) -> str | None:
        """The better backend, "same", or None where nothing is decided."""
        return (self.deciding.winner or "same") if self.deciding.decided else None

    @property
    def reversed_by_startup(self) -> bool:
        """Whether compilation turned the speed after warm-up around over these whole trainings."""
        return bool(self.startup and self.startup.reverses and self.primary.measure == "samples_per_second"
                    and self.primary.winner == self.startup.fast)

    @property
    def training(self) -> str:
        """What is known about the two trainings being the same."""
        if not self.seeds:
            return "training equality: nothing was run in both"
        return f"training equality: {self.certification.sentence}; {self.observed}"

    @property
    def observed(self) -> str:
        """How far apart the losses of the recorded runs are."""
        if self.distance is None:
            return "no common steps"
        size = f"{self.distance.relative:.2g}" if math.isfinite(self.distance.relative) else "infinite"
        return (f"largest relative loss distance {size}, at step {self.distance.step + 1} of {self.distance.steps}, "
                f"seed {self.distance.seed}")

    @property
    def sentence(self) -> str:
        """Accuracy comes first where it differs, for then speed is not the question."""
        if self.primary.outcome == "not comparable":
            seen = f"; {self.observed}" if self.seeds and self.primary.figure else ""
            return f"{self.setting.title}: {self.primary.sentence}{seen}"
        parts = [self.primary.sentence]
        if self.reversed_by_startup and self.startup:
            parts[0] += f"; {self.startup.sentence}"
        if self.primary.measure != self.quality.measure:
            parts.insert(0 if self.quality.outcome == "better" else 1, self.quality.sentence)
        return f"{self.setting.title}: {'; '.join([*parts, self.training])}"

    def to_data(self) -> dict[str, Any]:
        distance = self.distance
        ahead = None if self.blocks is None else break_even_steps(self.blocks)
        return {
            "id": self.setting.id,
            "title": self.setting.title,
            "model": self.setting.model,
            "data": self.setting.data,
            "execution": self.setting.execution,
            "labels": self.setting.labels,
            "a": self.a,
            "b": self.b,
            "seeds": self.seeds,
            "sentence": self.sentence,
            "answer": self.answer,
            "primary": self.primary.to_data(),
            "quality": self.quality.to_data(),
            "training": {
                **self.certification.to_data(),
                "observed": self.observed,
                "largest_relative_loss_distance": distance.relative if distance else None,
                "largest_absolute_loss_distance": distance.absolute if distance else None,
                "step": distance.step if distance else None,
                "seed": distance.seed if distance else None,
            },
            "start_up": None if self.startup is None else {
                "train_seconds": self.startup.seconds,
                "faster_after_warm_up": self.startup.fast,
                "break_even_examples": self.startup.break_even,
                "n": self.startup.n,
                "reverses_the_answer": self.reversed_by_startup,
            },
            "blocks": None if self.blocks is None else self.blocks.to_data(),
            "break_even": None if ahead is None else {"faster_after_warm_up": ahead[0], "steps": ahead[1].to_data()},
            "cautions": self.cautions,
            "more_minutes": self.minutes,
        }


def compare(setting: Setting, a: str, b: str, question: Question, certificates: Certificates) -> Comparison:
    """Judges backends a and b in the setting; see `harness.analysis.verdict.which`.

    The order: is anything in the way (one did not run, ...), are the trainings certified, the accuracy, the primary
    measure.
    """
    seeds, blocks = setting.seeds(a, b), pair_blocks(setting.blocks, a, b)
    why = _obstacle(setting, a, b, seeds)
    pairs = [(setting.done[a][seed], setting.done[b][seed]) for seed in seeds]
    quality_name = quality_measure(pairs) if pairs else "accuracy"
    if why:
        first, quality = not_comparable(question.primary, why), not_comparable(quality_name, why)
    else:
        first = judge_primary(question, (a, b), pairs, blocks)
        quality = first if quality_name == question.primary else judge_cells(quality_name, (a, b), pairs, question)
    runs = whole_runs(pairs, quality, LOSS_MARGIN) if pairs and not why else None
    proof = certification(pairs, certificates, runs)
    if not why and not proof.certified:
        first, quality = (withheld(judgement, proof.sentence) for judgement in (first, quality))
    distance = largest_distance(pairs)
    cautions = [*_cautions(setting, a, b, pairs, distance), *proof.cautions, *(blocks.cautions if blocks else ()),
                *((first.details or {}).get("cautions") or ())]
    return Comparison(setting, a, b, seeds, first, quality, proof, distance, cautions,
                      _minutes(pairs, first), None if why else start_up(pairs), blocks)


def _obstacle(setting: Setting, a: str, b: str, seeds: Sequence[int]) -> str | None:
    """Why the two halves cannot be compared, None if they can."""
    for backend in (a, b):
        if not setting.done.get(backend):
            reasons = [reason_text(record) for record in setting.failed if record.backend == backend]
            if not reasons:
                return f"{backend_title(backend)} was not run"
            return f"{backend_title(backend)} failed in all {len(reasons)} runs ({reasons[0]})"
    if not seeds:
        return "no seed was finished by both"
    plans = [[setting.done[x][seed].data.get("plan") or {} for x in (a, b)] for seed in seeds]
    for seed, (first, second) in zip(seeds, plans, strict=True):
        digests = first.get("digest"), second.get("digest")
        if None in digests or digests[0] == digests[1]:
            continue
        # Early stopping at different epochs changes the later phases' plans: that is said as a caution.
        if len({len(setting.done[x][seed].losses) for x in (a, b)}) == 1:
            return f"the two halves of seed {seed} played different plans"
    for x, y in ((setting.done[a][seed], setting.done[b][seed]) for seed in seeds):
        if x.environment.get("machine") != y.environment.get("machine"):
            machines = f"{x.environment.get('machine')} and {y.environment.get('machine')}"
            return f"the halves of seed {x.seed} ran on different machines ({machines})"
    return None


def _cautions(
    setting: Setting, a: str, b: str, pairs: Sequence[tuple[Record, Record]], distance: LossDistance | None,
) -> list[str]:
    """What was read back differently in the two halves, seeds without a partner, unequal step counts."""
    found: dict[str, None] = {}
    for x, y in pairs:
        for part in ("threads", "precision"):
            ours, theirs = x.environment.get(part) or {}, y.environment.get(part) or {}
            for key in sorted(set(ours) & set(theirs)):
                if ours[key] != theirs[key]:
                    found[f"{part} {key} differ: {a} {ours[key]}, {b} {theirs[key]}"] = None
    alone = sorted(set(setting.done.get(a, {})) ^ set(setting.done.get(b, {})))
    if alone and pairs:
        found[f"seeds {', '.join(map(str, alone))} have no partner and are left out"] = None
    for note in distance.notes if distance else ():
        found[f"losses of {note}"] = None
    return list(found)


def _minutes(pairs: Sequence[tuple[Record, Record]], judgement: Judgement) -> float | None:
    """What the repeats that are missing would take, by the mean of those that are there."""
    if not judgement.more:
        return None
    if judgement.repeat == "block":
        hours = (judgement.details or {}).get("hours")
        return None if hours is None else float(hours) * 60
    seconds = [
        sum(measure(record, "total_seconds") or measure(record, "train_seconds") or 0.0 for record in pair)
        for pair in pairs
    ]
    return judgement.more * float(np.mean(seconds)) / 60 if seconds and any(seconds) else None


def reason_text(record: Record) -> str:
    """ "kind: message" of a failed run."""
    reason = record.reason or {}
    return ": ".join(str(part) for part in (reason.get("kind", "unknown"), reason.get("message")) if part)
