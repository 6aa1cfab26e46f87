"""Two backends in one setting: may they be compared, and what do their records say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.certification import Certificates, Certification, certification
from harness.analysis.curves import LossDistance, largest_distance
from harness.analysis.judgement import (
    RATIO_MEASURES,
    Judgement,
    judge_quality,
    judge_ratio,
    not_comparable,
    withheld,
)
from harness.analysis.settings import Setting, backend_title
from harness.analysis.startup import StartUp, start_up
from harness.analysis.throughput import measure
from harness.analysis.whole_runs import whole_runs
from harness.records.record import Record

LOSS_MARGIN = 0.01
# Words in the names of metrics of which more is better; of any other metric less is.
MORE_IS_BETTER = ("accuracy", "f1", "f_1", "auc", "precision", "recall", "r2")


@dataclass(frozen=True)
class Comparison:
    """Two backends in one setting. a, b: their names; seeds: the pairs; certification: what is proved of their
    trainings; distance: what the losses showed."""

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
            "cautions": self.cautions,
            "more_minutes": self.minutes,
        }


def compare(
    setting: Setting, a: str, b: str, primary: str, margin: float, accuracy_margin: float,
    certificates: Certificates,
) -> Comparison:
    """Judges backends a and b in the setting; see `harness.analysis.verdict.which` for the arguments."""
    seeds = setting.seeds(a, b)
    why = _obstacle(setting, a, b, seeds)
    pairs = [(setting.done[a][seed], setting.done[b][seed]) for seed in seeds]
    quality_name = _quality_measure(pairs) if pairs else "accuracy"
    if why:
        first, quality = not_comparable(primary, why), not_comparable(quality_name, why)
    else:
        first = _judge(primary, (a, b), pairs, margin, accuracy_margin)
        quality = first if quality_name == primary else _judge(quality_name, (a, b), pairs, margin, accuracy_margin)
    runs = whole_runs(pairs, quality, LOSS_MARGIN) if pairs and not why else None
    proof = certification(pairs, certificates, runs)
    if not why and not proof.certified:
        first, quality = (withheld(judgement, proof.sentence) for judgement in (first, quality))
    minutes = _minutes(pairs, first.more) if first.more else None
    distance = largest_distance(pairs)
    cautions = [*_cautions(setting, a, b, pairs), *proof.cautions]
    return Comparison(setting, a, b, seeds, first, quality, proof, distance, cautions, minutes,
                      None if why else start_up(pairs))


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
        # Early stopping at different epochs changes the later phases' plans: that is said as a caution.
        same_length = len({len(setting.done[x][seed].losses) for x in (a, b)}) == 1
        if None not in digests and digests[0] != digests[1] and same_length:
            return f"the two halves of seed {seed} played different plans"
    for x, y in ((setting.done[a][seed], setting.done[b][seed]) for seed in seeds):
        if x.environment.get("machine") != y.environment.get("machine"):
            machines = f"{x.environment.get('machine')} and {y.environment.get('machine')}"
            return f"the halves of seed {x.seed} ran on different machines ({machines})"
    return None


def _judge(
    name: str,
    names: tuple[str, str],
    pairs: Sequence[tuple[Record, Record]],
    margin: float,
    accuracy_margin: float,
) -> Judgement:
    values = [(measure(x, name), measure(y, name)) for x, y in pairs]
    usable = [(x, y) for x, y in values if x is not None and y is not None and np.isfinite([x, y]).all()]
    if name in RATIO_MEASURES:
        usable = [(x, y) for x, y in usable if x > 0 and y > 0]
    if not usable:
        return not_comparable(name, f"{name} was not measured in both")
    a, b = [x for x, _ in usable], [y for _, y in usable]
    if name in RATIO_MEASURES:
        return judge_ratio(name, names, a, b, margin)
    relative = not any(word in name.lower() for word in MORE_IS_BETTER)
    return judge_quality(name, names, a, b, LOSS_MARGIN if relative else accuracy_margin, relative)


def _quality_measure(pairs: Sequence[tuple[Record, Record]]) -> str:
    """The final metric that says how good the result is: of the test split before validation before
    training, an accuracy before another score before the loss; only what both halves have."""
    shared = set.intersection(*(set(record.metrics) for pair in pairs for record in pair))
    for prefix in ("test_", "val_", ""):
        names = [name for name in shared if name.startswith(prefix)]
        if not prefix:
            names = [name for name in names if not name.startswith(("test_", "val_"))]
        for word in MORE_IS_BETTER:
            matching = sorted((name for name in names if word in name.lower()), key=lambda name: (len(name), name))
            if matching:
                return matching[0]
        if f"{prefix}loss" in names:
            return f"{prefix}loss"
    return "accuracy"


def _cautions(setting: Setting, a: str, b: str, pairs: Sequence[tuple[Record, Record]]) -> list[str]:
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
    distance = largest_distance(pairs)
    for note in distance.notes if distance else ():
        found[f"losses of {note}"] = None
    return list(found)


def _minutes(pairs: Sequence[tuple[Record, Record]], more: int) -> float | None:
    """What that many more pairs would take, by the mean of these."""
    seconds = [
        sum(measure(record, "total_seconds") or measure(record, "train_seconds") or 0.0 for record in pair)
        for pair in pairs
    ]
    return more * float(np.mean(seconds)) / 60 if seconds and any(seconds) else None


def reason_text(record: Record) -> str:
    """ "kind: message" of a failed run."""
    reason = record.reason or {}
    return ": ".join(str(part) for part in (reason.get("kind", "unknown"), reason.get("message")) if part)
