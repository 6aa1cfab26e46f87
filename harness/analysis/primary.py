"""What the primary measure rests on: timed blocks for speed, latency, memory and energy; whole trainings over paired
seeds for everything else. The speed of whole trainings is shown as observed, and decides nothing: they may have shared
the machine, and each is one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.analysis.arrival import NAME as TIME_TO_ACCURACY
from harness.analysis.arrival import judge_arrival
from harness.analysis.blocks import PairedBlocks, causes
from harness.analysis.half_metrics import METRICS
from harness.analysis.judgement import OUTCOMES, RATIO_MEASURES, Judgement, judge_ratio, not_comparable
from harness.analysis.played import epochs_before
from harness.analysis.quality import judge_quality
from harness.analysis.sequential import LOOKS, judge_blocks
from harness.analysis.throughput import measure
from harness.records.record import Record

LOSS_MARGIN = 0.01
# Words in the names of metrics of which more is better; of any other metric less is.
MORE_IS_BETTER = ("accuracy", "f1", "f_1", "auc", "precision", "recall", "r2", "return")
# Judged from blocks; memory is the same in a whole training, and is judged from those where no block has it.
BLOCK_MEASURES = tuple(name for name in RATIO_MEASURES if name in METRICS)
MEMORY = ("peak_bytes", "process_peak_bytes")
# What a training takes from its beginning to its end.
WHOLE_TRAININGS = (TIME_TO_ACCURACY, "train_seconds", "total_seconds", "first_step_seconds")
COMMAND = "harness run EXPERIMENT.yaml"
Pairs = Sequence[tuple[Record, Record]]


@dataclass(frozen=True)
class Question:
    """What decides, and by how much. margin, accuracy_margin, looks, target: see `harness.analysis.verdict.which`.
    target_metric: that the target is of; None for the one that says how good a validation is. command: what measures
    more; blocks: what to do for blocks where that is not it."""

    primary: str = "samples_per_second"
    margin: float = 0.03
    accuracy_margin: float = 0.005
    looks: tuple[int, ...] = LOOKS
    target: float | None = None
    target_metric: str | None = None
    command: str = COMMAND
    blocks: str | None = None


def judge_primary(question: Question, names: tuple[str, str], pairs: Pairs, blocks: PairedBlocks | None) -> Judgement:
    """names: the two backends, as in the pairs and the blocks. Beside a peak of memory stands the largest batch."""
    found = _judge_primary(question, names, pairs, blocks)
    beside = blocks.largest_batches if blocks is not None and question.primary in MEMORY else None
    return replace(found, sentence=f"{found.sentence}; {beside}") if beside else found


def _judge_primary(question: Question, names: tuple[str, str], pairs: Pairs, blocks: PairedBlocks | None) -> Judgement:
    name = question.primary
    if name in WHOLE_TRAININGS and any(epochs_before(x) != epochs_before(y) for x, y in pairs):
        return not_comparable(name, "one half began with the other's checkpoint, the other with drawn weights")
    if name == TIME_TO_ACCURACY and pairs:
        metric = question.target_metric or quality_measure(pairs, ("val_", ""))
        return judge_arrival(names, sorted(pairs, key=_finished), metric, question.target, question.margin,
                             more_is_better(metric))
    if name not in BLOCK_MEASURES:
        return judge_cells(name, names, pairs, question)
    if blocks is not None and blocks.unfair is not None:
        return not_comparable(name, blocks.unfair)
    if blocks is not None and blocks.done:
        a, b = blocks.values(name)
        if a:
            return judge_blocks(name, names, a, b, question.margin, question.looks, blocks.block_seconds)
        if name not in MEMORY or not _measured(name, pairs)[0]:
            return not_comparable(name, blocks.missing(name))
    if name in MEMORY:
        return judge_cells(name, names, pairs, question)
    return _without_blocks(name, names, pairs, question, blocks)


def judge_cells(name: str, names: tuple[str, str], pairs: Pairs, question: Question) -> Judgement:
    """A measure of whole trainings, paired by seed. Pairs count in the order in which they were finished: a look at the
    first five stays a look at the same five, whatever seeds are run later."""
    a, b = _measured(name, sorted(pairs, key=_finished))
    if not a:
        return not_comparable(name, f"{name} was not measured in both")
    if name in RATIO_MEASURES:
        return judge_ratio(name, names, a, b, question.margin)
    if "return" in name:  # rewards have no scale of their own
        return judge_quality(name, names, a, b, question.accuracy_margin, True, more_is_better=True)
    relative = not more_is_better(name)
    return judge_quality(name, names, a, b, LOSS_MARGIN if relative else question.accuracy_margin, relative)


def more_is_better(metric: str) -> bool:
    """Of a final metric, by its name."""
    return any(word in metric.lower() for word in MORE_IS_BETTER)


def quality_measure(pairs: Pairs, prefixes: Sequence[str] = ("test_", "val_", "")) -> str:
    """The final metric that says how good the result is: of the first prefix that both halves have, an accuracy
    before another score before the loss. "accuracy" where there is none."""
    shared = set.intersection(*(set(record.metrics) for pair in pairs for record in pair))
    for prefix in prefixes:
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


def _finished(pair: tuple[Record, Record]) -> str:
    return max(str(record.data.get("finished_at")) for record in pair)


def _measured(name: str, pairs: Pairs) -> tuple[list[float], list[float]]:
    """The measure of both halves, of the pairs in which both have a usable one."""
    values = [(measure(x, name), measure(y, name)) for x, y in pairs]
    usable = [(x, y) for x, y in values if x is not None and y is not None and np.isfinite([x, y]).all()]
    if name in RATIO_MEASURES:
        usable = [(x, y) for x, y in usable if x > 0 and y > 0]
    return [x for x, _ in usable], [y for _, y in usable]


def _without_blocks(
    name: str, names: tuple[str, str], pairs: Pairs, question: Question, blocks: PairedBlocks | None
) -> Judgement:
    """Not enough evidence; with the speed that was observed in whole trainings."""
    if blocks is not None and blocks.failed:
        return not_comparable(name, f"no block came to its end: {causes(blocks.failed)}")
    why = "no blocks were measured" if blocks is None else f"every block was dropped: {causes(blocks.dropped)}"
    seen, observed_text, figure = "", "", None
    a, b = _measured(name, pairs)
    if a:
        observed = judge_ratio(name, names, a, b, question.margin, looks=(max(len(a), 2),))
        observed_text = f"observed in whole trainings: {observed.evidence}"
        seen = f" ({observed_text})"
        if observed.figure is not None:
            figure = replace(observed.figure, method=f"observed in whole trainings: {observed.figure.method}")
    sentence = f"{OUTCOMES[3]}: {why}; {question.blocks or f'run `{question.command}`'}{seen}"
    return Judgement(name, OUTCOMES[3], sentence, figure, None, question.looks[0], {"looks": list(question.looks)},
                     observed_text, "block")
