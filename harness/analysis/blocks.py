"""Timed blocks as figures: what every half measured, paired by block; what failed or was dropped, and why.

A figure is a geometric mean over blocks with Student's t interval on the logs, at 95%: descriptive. What a verdict may
be built on is judged at the planned looks (analysis/sequential.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from harness.analysis.half_metrics import INFERENCE, METRICS, inference_sizes, metric_of, metric_value, reason_missing
from harness.analysis.settings import backend_title
from harness.analysis.statistics import CONFIDENCE, Figure, paired_log_ratio, student_interval
from harness.records.blocks import DONE, DROPPED, FAILED, Block

UNFAIR = "unfair"
FEWEST_FOR_CORRELATION = 12


@dataclass(frozen=True)
class Row:
    """One metric of two backends. figures: backend -> Figure or None; ratio: of the first over the second, paired by
    block. reasons: backend -> why it was not measured."""

    metric: str
    unit: str
    more_is_better: bool | None
    figures: dict[str, Figure | None]
    ratio: Figure | None
    reasons: dict[str, str] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        return {"metric": self.metric, "unit": self.unit, "more_is_better": self.more_is_better,
                "figures": {name: None if f is None else f.to_data() for name, f in self.figures.items()},
                "ratio": None if self.ratio is None else self.ratio.to_data(), "reasons": self.reasons}


@dataclass(frozen=True)
class PairedBlocks:
    """The blocks of one setting in which these two backends were timed against each other on one machine, by number.
    elsewhere: how many there are of other machines, which are left out."""

    a: str
    b: str
    blocks: tuple[Block, ...]
    machine: str | None = None
    elsewhere: int = 0

    @cached_property
    def done(self) -> list[Block]:
        return [block for block in self.blocks if block.status == DONE]

    @property
    def failed(self) -> list[Block]:
        return [block for block in self.blocks if block.status == FAILED]

    @property
    def dropped(self) -> list[Block]:
        return [block for block in self.blocks if block.status == DROPPED]

    @property
    def unfair(self) -> str | None:
        """Why the latest block that was not dropped was stopped as UNFAIR; None if it was not. What was measured after
        it was mended is fair: conditions are read back in every half."""
        counted = [block for block in self.blocks if block.status != DROPPED]
        latest = max(counted, key=_age, default=None)
        reason = {} if latest is None else latest.reason or {}
        if reason.get("kind") != UNFAIR:
            return None
        message = str(reason.get("message") or "the two halves ran under different conditions")
        return message if message.startswith("UNFAIR") else f"UNFAIR: {message}"

    @property
    def block_seconds(self) -> float | None:
        """What a block took from end to end, on average."""
        spent = [block.data["seconds"] for block in self.done if block.data.get("seconds")]
        return float(np.mean(spent)) if spent else None

    def values(self, name: str) -> tuple[list[float], list[float]]:
        """The metric of both backends, in the order of the blocks: of those that are done and in which both have it and
        neither is 0."""
        pairs = [(metric_value(block.halves[self.a], name), metric_value(block.halves[self.b], name))
                 for block in self.done]
        both = [(x, y) for x, y in pairs if x and y]
        return [x for x, _ in both], [y for _, y in both]

    def missing(self, name: str) -> str:
        """Why the metric is not there in both, as far as it is said."""
        found = dict.fromkeys(
            f"{backend_title(backend)}: {reason}" for block in self.done for backend in (self.a, self.b)
            if metric_value(block.halves[backend], name) is None
            and (reason := reason_missing(block.halves[backend], name)))
        return f"{name} was not measured in both" + (f" ({'; '.join(found)})" if found else "")

    @property
    def largest_batches(self) -> str | None:
        """ "largest batch that trains: PyTorch 4096, TensorFlow 2048 (one search each, not repeated)"; None where it
        was not searched for."""
        said = []
        for backend in (self.a, self.b):
            memories = [(block.halves[backend].get("memory") or {}) for block in self.done]
            found = next((memory for memory in memories if memory.get("largest_batch_search")), None)
            if found is None:
                return None
            size = found.get("largest_batch") or f"not known ({found.get('largest_batch_reason')})"
            said.append(f"{backend_title(backend)} {size}")
        return f"largest batch that trains: {', '.join(said)} (one search each, not repeated)"

    def rows(self) -> list[Row]:
        """Every metric that any half has, or says why it has not."""
        return self._rows

    @cached_property
    def _rows(self) -> list[Row]:
        rows = [self._row(name) for name in [*METRICS, *self._inference()]]
        return [row for row in rows if any(row.figures.values()) or row.reasons]

    def _inference(self) -> list[str]:
        sizes = {size for block in self.done for half in block.halves.values() for size in inference_sizes(half)}
        return [f"{INFERENCE}{size}" for size in sorted(sizes, key=lambda size: (len(size), size))]

    def _row(self, name: str) -> Row:
        metric, figures, reasons = metric_of(name), dict[str, Figure | None](), dict[str, str]()
        for backend in (self.a, self.b):
            halves = [block.halves[backend] for block in self.done]
            figures[backend] = mean_figure([metric_value(half, name) for half in halves], metric.unit)
            said = next((reason for half in halves if (reason := reason_missing(half, name))), None)
            if figures[backend] is None and said:
                reasons[backend] = said
        first, second = self.values(name)
        return Row(name, metric.unit, metric.more_is_better, figures,
                   paired_log_ratio(first, second) if first else None, reasons)

    @property
    def order_effect(self) -> Figure | None:
        """How much faster the half that came second was than the first, whichever backend it was; None without
        blocks in both orders. Both orders being as frequent, it falls out of the ratio of the backends."""
        logs: dict[bool, list[float]] = {True: [], False: []}
        for block in self.done:
            pair = [metric_value(block.halves[name], "samples_per_second") for name in (self.a, self.b)]
            x, y = pair
            if x and y:
                logs[block.order[0] == self.a].append(math.log(y / x))
        if min(len(values) for values in logs.values()) < 2:
            return None
        from scipy import stats

        a_first, b_first = np.asarray(logs[True]), np.asarray(logs[False])
        value = float(a_first.mean() - b_first.mean()) / 2
        low = high = value
        if np.ptp(a_first) > 0 or np.ptp(b_first) > 0:
            interval = stats.ttest_ind(a_first, b_first, equal_var=False).confidence_interval(CONFIDENCE)
            low, high = float(interval.low) / 2, float(interval.high) / 2
        return Figure(math.exp(value), math.exp(low), math.exp(high), len(a_first) + len(b_first), "ratio",
                      "second half over first, Welch on log ratios of the two orders, 95% interval")

    @property
    def cautions(self) -> list[str]:
        """What a reader of the verdict has to know of these blocks."""
        said = [f"{len(blocks)} of {len(self.blocks)} blocks {word} and count for nothing: {causes(blocks)}"
                for word, blocks in (("failed", self.failed), ("were dropped", self.dropped)) if blocks]
        if self.elsewhere:
            said.append(f"{self.elsewhere} blocks of other machines are left out")
        for name in (self.a, self.b):
            for part in ("versions", "program"):
                kinds = {str(block.halves[name].get(part)) for block in self.done if block.halves[name].get(part)}
                if len(kinds) > 1:
                    said.append(f"{backend_title(name)}: not all blocks have the same {part}")
        effect = self.order_effect
        if effect is not None and ((effect.low or 1) > 1 or (effect.high or 1) < 1):
            change = f"{abs(effect.value - 1) * 100:.2g}% {'faster' if effect.value > 1 else 'slower'}"
            said.append(f"the half that came second was {change}; as either backend came second equally often, the "
                        "ratio does not contain it")
        alike = self.serial_correlation
        if alike is not None:
            said.append(f"ratios of blocks that follow each other are alike (correlation {alike:.2f}): the machine "
                        "drifts, and the interval is too narrow")
        return said

    @property
    def serial_correlation(self) -> float | None:
        """Of each block's log ratio with the next one's, where it is there beyond doubt (one-sided p below 1%)."""
        a, b = self.values("samples_per_second")
        logs = np.log(a) - np.log(b)
        if len(logs) < FEWEST_FOR_CORRELATION or np.ptp(logs) < 1e-9:
            return None
        from scipy import stats

        found = stats.pearsonr(logs[:-1], logs[1:], alternative="greater")
        return float(found.statistic) if found.pvalue < 0.01 else None

    def to_data(self) -> dict[str, Any]:
        effect = self.order_effect
        return {
            "done": len(self.done), "machine": self.machine, "elsewhere": self.elsewhere,
            "block_seconds": self.block_seconds,
            "not_done": [{"number": block.number, "status": block.status, **(block.reason or {})}
                         for block in self.blocks if block.status != DONE],
            "orders": [block.order[0] for block in self.done],
            "samples_per_second": dict(zip((self.a, self.b), self.values("samples_per_second"), strict=True)),
            "order_effect": None if effect is None else effect.to_data(),
            "figures": [row.to_data() for row in self.rows()],
        }


def pair_blocks(blocks: Iterable[Block], a: str, b: str) -> PairedBlocks | None:
    """Those of the blocks of a setting that timed a against b on the machine of the latest; None without any.

    Ratios of two machines are not put together: they need not be the same."""
    found = [block for block in blocks if set(block.order) == {a, b}]
    if not found:
        return None
    machine = max(found, key=_age).machine.get("machine")
    here = [block for block in found if block.machine.get("machine") == machine]
    return PairedBlocks(a, b, tuple(sorted(here, key=lambda block: block.number)),
                        None if machine is None else str(machine), len(found) - len(here))


def _age(block: Block) -> tuple[str, int]:
    return str(block.data.get("started_at") or ""), block.number


def mean_figure(values: Sequence[float | None], unit: str) -> Figure | None:
    """Geometric mean with Student's t interval on the logs; None without any value. Where one is 0 (nothing had to be
    compiled) it is the mean of the values themselves."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if min(known) <= 0:
        mean, low, high = student_interval(np.asarray(known))
        return Figure(mean, low, high, len(known), unit, f"mean over blocks, Student t, {CONFIDENCE:.0%} interval")
    logs = np.log(known)
    mean, low, high = student_interval(logs)
    value = known[0] if len(known) == 1 else math.exp(mean)
    return Figure(value, None if low is None else math.exp(low), None if high is None else math.exp(high),
                  len(logs), unit, f"geometric mean over blocks, Student t on logs, {CONFIDENCE:.0%} interval")


def causes(blocks: Sequence[Block]) -> str:
    """ "3 x no_steady_state (tensorflow: ...), 1 x out_of_memory (...)"."""
    kinds = Counter(str((block.reason or {}).get("kind", "unknown")) for block in blocks)
    first = {str((block.reason or {}).get("kind", "unknown")): (block.reason or {}).get("message")
             for block in reversed(blocks)}
    return ", ".join(f"{n} x {kind}" + (f" ({first[kind]})" if first[kind] else "") for kind, n in kinds.items())
