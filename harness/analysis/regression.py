"""Two sets of results of the same cells: before and after an upgrade, on one machine and on another.

A cell of one set is held against the cell of the other that is the same in model, data, recipe, execution and backend
(analysis/regression_matching.py). Speeds, latencies, memory and energy were measured at two times, so nothing pairs
them: the ratio B/A has Welch's interval on logs, over timed blocks where both sets have them, else over whole
trainings. Final metrics have the same seed, first weights and batches on both sides: they are paired by seed and judged
as elsewhere (analysis/accuracy.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.analysis.accuracy import judge_seeds
from harness.analysis.blocks import pair_blocks
from harness.analysis.half_metrics import METRICS, metric_value
from harness.analysis.judgement import DECIDED, MAY_NOT_MATTER, OUTCOMES, RATIO_MEASURES
from harness.analysis.primary import LOSS_MARGIN, more_is_better, quality_measure
from harness.analysis.regression_matching import Match, Side, match_settings
from harness.analysis.regression_ratio import unpaired_log_ratio
from harness.analysis.regression_sameness import Sameness, sameness
from harness.analysis.statistics import CONFIDENCE, Figure, paired_difference, student_interval
from harness.analysis.throughput import measure
from harness.errors import SpecError, did_you_mean
from harness.records.blocks import DONE, Block
from harness.records.record import Record

DEFAULT_MEASURES = ("samples_per_second", "process_peak_bytes")
BLOCKS, TRAININGS, SEEDS = "timed blocks", "whole trainings", "paired seeds"
RATIO, DIFFERENCE, SHARE = "ratio", "difference", "share"
BETTER, WORSE, SAME = "better", "worse", "same to the bit"


@dataclass(frozen=True)
class Row:
    """One measure of one cell in both sets. kind: RATIO (b over a), DIFFERENCE (b minus a), or SHARE (b minus a as a
    share of their mean size, of losses). outcome: BETTER, WORSE (by at least the margin), SAME, or of the outcomes of a
    judgement; ahead: "a" or "b" where one is shown to be better, by however little."""

    title: str
    backend: str
    measure: str
    unit: str
    source: str
    kind: str
    more_is_better: bool
    a: tuple[float, ...]
    b: tuple[float, ...]
    margin: float
    outcome: str
    ahead: str | None

    def change(self, confidence: float = CONFIDENCE) -> Figure:
        """b against a."""
        if self.kind == RATIO:
            return unpaired_log_ratio(self.b, self.a, confidence)
        scale = (float(np.mean(np.abs([*self.a, *self.b]))) or 1.0) if self.kind == SHARE else 1.0
        return paired_difference([x / scale for x in self.b], [x / scale for x in self.a], self.kind, confidence)

    def side(self, values: Sequence[float]) -> Figure:
        """The mean of one set: geometric, of measures that are compared by their ratio."""
        logs = self.kind == RATIO
        mean, low, high = student_interval(np.log(values) if logs else np.asarray(values))
        method = f"{'geometric mean' if logs else 'mean'} over {self.source}, Student t"
        if logs:
            low, high = (None if end is None else math.exp(end) for end in (low, high))
        return Figure(math.exp(mean) if logs else mean, low, high, len(values), self.unit, method)

    def to_data(self) -> dict[str, Any]:
        return {"title": self.title, "backend": self.backend, "measure": self.measure, "unit": self.unit,
                "source": self.source, "kind": self.kind, "more_is_better": self.more_is_better, "margin": self.margin,
                "a": self.side(self.a).to_data(), "b": self.side(self.b).to_data(), "change": self.change().to_data(),
                "outcome": self.outcome, "ahead": self.ahead}


@dataclass(frozen=True)
class Regression:
    """a, b: what the sets are and where they were made. same: of every cell and backend, whether the same was trained.
    alone: cells of one set only, in words. failed: what ended with a result in a and without one in b."""

    a: Side
    b: Side
    rows: list[Row]
    same: list[Sameness]
    differences: list[str] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def to_data(self) -> dict[str, Any]:
        return {"a": self.a.to_data(), "b": self.b.to_data(), "differences": self.differences,
                "rows": [row.to_data() for row in self.rows], "training": [item.to_data() for item in self.same],
                "cautions": self.cautions, "missing": self.missing, "added": self.added, "failed": self.failed}


def compare_results(
    a: Side, b: Side, measures: Sequence[str] = (), *, margin: float = 0.03, accuracy_margin: float = 0.005,
    across: Iterable[str] = (),
) -> Regression:
    """Holds every cell of b against the same cell of a.

    measures: beside DEFAULT_MEASURES and the final metric that says how good the result is; of RATIO_MEASURES, or final
    metrics by Keras's names. margin, accuracy_margin: as of a verdict. across: what may differ between the two
    (`threads`, `recipe.batch_size`). Raises SpecError for a measure that there is not.
    """
    known = {name for side in (a, b) for record in side.records for name in record.metrics}
    for name in measures:
        if name not in RATIO_MEASURES and name not in METRICS and name not in known:
            raise SpecError(f"there is no measure {name!r} in these results.",
                            hint=did_you_mean(name, [*RATIO_MEASURES, *known]))
    matching = match_settings(a, b, tuple(across))
    rows, same, cautions, failed, missing = [], [], dict[str, None](), [], list(matching.missing)
    for match in matching.found:
        failed += match.failed
        missing += match.missing
        cautions |= dict.fromkeys(match.cautions)
        for backend in match.backends:
            pairs = match.pairs(backend)
            if pairs:
                same.append(sameness(match, backend, pairs))
            rows += [row for name in _measures(measures, pairs)
                     if (row := _row(match, backend, name, pairs, margin, accuracy_margin)) is not None]
        rows += _ratios(match, margin)
    if a.environments.get("machine") != b.environments.get("machine"):
        cautions["the machines are not the same: speeds and memory compare the machines; of the frameworks, look at "
                 "one over the other"] = None
    order = list(dict.fromkeys(row.measure for row in rows))
    rows.sort(key=lambda row: order.index(row.measure))
    return Regression(a, b, rows, same, matching.differences, list(cautions), missing, matching.added, failed)


def _measures(asked: Sequence[str], pairs: Sequence[tuple[Record, Record]]) -> list[str]:
    quality = [quality_measure(pairs)] if pairs else []
    return list(dict.fromkeys([*DEFAULT_MEASURES[:1], *quality, *DEFAULT_MEASURES[1:], *asked]))


def _row(
    match: Match, backend: str, name: str, pairs: Sequence[tuple[Record, Record]], margin: float,
    accuracy_margin: float,
) -> Row | None:
    """None where one of the sets does not have the measure."""
    if name in RATIO_MEASURES or name in METRICS:
        source, a, b = _measured(match, backend, name)
        if not a or not b:
            return None
        metric = METRICS.get(name)
        upward = RATIO_MEASURES[name][0] if name in RATIO_MEASURES else bool(metric and metric.more_is_better)
        unit = metric.unit if metric else "s" if name.endswith("_seconds") else ""
        outcome, ahead = judge_change(unpaired_log_ratio(b, a), upward, margin)
        return Row(match.title, backend, name, unit, source, RATIO, upward, a, b, margin, outcome, ahead)
    values = [(x.metrics.get(name), y.metrics.get(name)) for x, y in pairs]
    both = [(x, y) for x, y in values if x is not None and y is not None and np.isfinite([x, y]).all()]
    return _quality(match, backend, name, both, accuracy_margin) if both else None


def _quality(
    match: Match, backend: str, name: str, values: Sequence[tuple[float, float]], accuracy_margin: float,
) -> Row:
    upward = more_is_better(name)
    size = accuracy_margin if upward else LOSS_MARGIN
    a, b = (tuple(float(pair[side]) for pair in values) for side in (0, 1))
    found = judge_seeds(a, b, size, relative=not upward, more_is_better=upward)
    outcome, ahead = found.outcome, None if found.ahead is None else "ab"[found.ahead]
    if a == b:
        outcome = SAME
    elif outcome == BETTER:
        outcome = BETTER if ahead == "b" else WORSE
    return Row(match.title, backend, name, "", SEEDS, DIFFERENCE if upward else SHARE, upward, a, b, size, outcome,
               ahead)


def _measured(match: Match, backend: str, name: str) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
    """(what was measured, its values in a, in b): blocks where both sets have some, else whole trainings."""
    timed = [tuple(value for block in _of_latest_machine(blocks) if block.status == DONE and backend in block.halves
                   and (value := metric_value(block.halves[backend], name)))
             for blocks in (match.a.blocks, match.b.blocks)]
    if all(timed):
        return BLOCKS, timed[0], timed[1]
    whole = [tuple(value for record in setting.records(backend) if (value := measure(record, name)) is not None
                   and np.isfinite(value) and value > 0) for setting in (match.a, match.b)]
    return TRAININGS, whole[0], whole[1]


def _of_latest_machine(blocks: Sequence[Block]) -> list[Block]:
    """Speeds of two machines are not put together."""
    latest = max((str(block.data.get("started_at") or ""), str(block.machine.get("machine"))) for block in blocks
                 )[1] if blocks else ""
    return [block for block in blocks if str(block.machine.get("machine")) == latest]


def _ratios(match: Match, margin: float) -> list[Row]:
    """How much faster one backend is than the other, in a and in b: halves of one block share the machine's mood, so
    this is the figure to look at where the machines differ."""
    rows = []
    names = sorted({name for blocks in (match.a.blocks, match.b.blocks) for block in blocks for name in block.order})
    for index, first in enumerate(names):
        for second in names[index + 1:]:
            sides = [_block_ratios(blocks, first, second) for blocks in (match.a.blocks, match.b.blocks)]
            if all(sides):
                outcome, ahead = judge_change(unpaired_log_ratio(sides[1], sides[0]), True, margin)
                # Neither is better: another framework is ahead than before, or by more.
                word = OUTCOMES[0] if outcome == OUTCOMES[0] else "changed" if ahead else OUTCOMES[3]
                rows.append(Row(match.title, f"{first}/{second}", "samples_per_second", "ratio", BLOCKS, RATIO, True,
                                sides[0], sides[1], margin, word, None))
    return rows


def _block_ratios(blocks: Sequence[Block], first: str, second: str) -> tuple[float, ...]:
    paired = pair_blocks(blocks, first, second)
    if paired is None:
        return ()
    over, under = paired.values("samples_per_second")
    return tuple(x / y for x, y in zip(over, under, strict=True))


def judge_change(change: Figure, upward: bool, margin: float) -> tuple[str, str | None]:
    """(outcome, "a" or "b" where one of them is shown to be better) of a ratio b over a."""
    if change.low is None or change.high is None:
        return OUTCOMES[3], None
    low, high, edge = math.log(change.low), math.log(change.high), math.log1p(margin)
    if not low <= 0 <= high:
        ahead = "b" if (low > 0) == upward else "a"
        if min(abs(low), abs(high)) >= edge:
            return (BETTER if ahead == "b" else WORSE), ahead
        return (DECIDED[0] if max(abs(low), abs(high)) < edge else MAY_NOT_MATTER), ahead
    return (DECIDED[0] if -edge < low and high < edge else OUTCOMES[3]), None


