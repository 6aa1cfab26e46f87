"""Pretrained in A, fine-tuned in B: whether the four pairs of two frameworks end in the same place.

The final metric of each pair over seeds; its paired difference from the first same-framework pair; and the spread that
seeds alone make within a framework, which is what a difference between pairs is measured by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.primary import quality_measure
from harness.analysis.settings import backend_title
from harness.analysis.statistics import Figure, paired_difference, student_interval
from harness.records import strict_json
from harness.records.record import Record
from harness.records.store import data_label, extra_labels, model_label

AXIS = "pretrained_in"


@dataclass(frozen=True)
class Pair:
    """One way through two frameworks. values: seed -> final metric. mean: over seeds, with its interval. difference:
    from the reference over shared seeds, None of the reference itself. within: whether it is no larger than the spread
    of seeds; None where that is not known."""

    pretrained_in: str
    fine_tuned_in: str
    values: Mapping[int, float]
    mean: Figure
    difference: Figure | None = None
    within: bool | None = None

    @property
    def title(self) -> str:
        return f"{backend_title(self.pretrained_in)} -> {backend_title(self.fine_tuned_in)}"


@dataclass(frozen=True)
class TwoByTwo:
    """The pairs of one model, data, recipe and execution. spread: the standard deviation over seeds within a framework,
    pooled over the pairs that stay in one; None below two seeds."""

    title: str
    measure: str
    pairs: tuple[Pair, ...]
    spread: float | None

    @property
    def complete(self) -> bool:
        """Whether all four pairs are there."""
        return len(self.pairs) == len({pair.fine_tuned_in for pair in self.pairs}) ** 2 >= 4

    @property
    def agrees(self) -> bool | None:
        """Whether every pair ends within the spread; None where that cannot be said."""
        judged = [pair.within for pair in self.pairs if pair.difference is not None]
        return None if not self.complete or None in judged else all(judged)

    @property
    def sentence(self) -> str:
        if self.agrees is None:
            missing = "some of the four pairs are missing" if not self.complete else "one seed shows no spread"
            return f"{self.title}: not decided, {missing}."
        largest = max((abs(pair.difference.value) for pair in self.pairs if pair.difference), default=0.0)
        words = "all four pairs end" if self.agrees else "not all four pairs end"
        return (f"{self.title}: {words} within the spread of seeds in {self.measure} (largest mean difference "
                f"{largest:.4g}, standard deviation over seeds {self.spread:.4g}).")

    def to_data(self) -> dict[str, Any]:
        return {
            "title": self.title, "measure": self.measure, "spread": self.spread, "agrees": self.agrees,
            "sentence": self.sentence,
            "pairs": [{"pretrained_in": pair.pretrained_in, "fine_tuned_in": pair.fine_tuned_in,
                       "values": {str(seed): value for seed, value in pair.values.items()},
                       "mean": pair.mean.to_data(), "within": pair.within,
                       "difference": None if pair.difference is None else pair.difference.to_data()}
                      for pair in self.pairs],
        }


def two_by_two(records: Sequence[Record]) -> list[TwoByTwo]:
    """One for each model, data, recipe and execution whose recipes differ in pretrained_in; [] where none do."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.status == "done" and (record.cell.get("recipe") or {}).get(AXIS):
            groups.setdefault(_key(record.cell), []).append(record)
    return sorted((_of_group(group) for group in groups.values()), key=lambda found: found.title)


def _key(cell: Mapping[str, Any]) -> str:
    """What the four pairs share."""
    recipe = {name: value for name, value in (cell.get("recipe") or {}).items() if name != AXIS}
    labels = {axis: text for axis, text in (cell.get("labels") or {}).items() if axis not in ("backend", "seed", AXIS)}
    model = cell.get("model") or {}
    return strict_json.canonical([model.get("digest") or model.get("name"), cell.get("data"), recipe,
                                  cell.get("execution"), labels])


def _of_group(records: list[Record]) -> TwoByTwo:
    measure = quality_measure([(record, record) for record in records])
    values: dict[tuple[str, str], dict[int, float]] = {}
    for record in records:
        value = record.metrics.get(measure)
        if value is not None and math.isfinite(value):
            values.setdefault((record.cell["recipe"][AXIS], record.backend), {})[int(record.seed or 0)] = value
    # Pairs that stay in one framework come first, TensorFlow's first of all.
    ways = sorted(values, key=lambda way: (way[0] != way[1], way[0] != "tensorflow", way[1] != "tensorflow"))
    spread = _pooled([list(values[way].values()) for way in ways if way[0] == way[1]])
    pairs = tuple(_pair(way, values, ways[0], spread, measure) for way in ways)
    first = records[0]
    others = [f"{axis} {text}" for axis, text in sorted(extra_labels(first).items()) if axis != AXIS]
    return TwoByTwo(", ".join([model_label(first), data_label(first), *others]), measure, pairs, spread)


def _pair(
    way: tuple[str, str], values: Mapping[tuple[str, str], dict[int, float]], reference: tuple[str, str],
    spread: float | None, unit: str,
) -> Pair:
    own, theirs = values[way], values[reference]
    mean, low, high = student_interval(np.array(list(own.values())))
    figure = Figure(mean, low, high, len(own), unit, "mean over seeds, Student t, 95% interval")
    seeds = sorted(set(own) & set(theirs))
    if way == reference or not seeds:
        return Pair(*way, own, figure)
    difference = paired_difference([own[seed] for seed in seeds], [theirs[seed] for seed in seeds], unit)
    within = None if spread is None else abs(difference.value) <= spread
    return Pair(*way, own, figure, difference, within)


def _pooled(samples: Sequence[Sequence[float]]) -> float | None:
    """The standard deviation within samples, over all of them."""
    freedom = sum(len(sample) - 1 for sample in samples)
    if freedom < 1:
        return None
    squares = sum(float(np.square(np.asarray(sample) - np.mean(sample)).sum()) for sample in samples)
    return math.sqrt(squares / freedom)
