"""How it learned: metrics per epoch over seeds, and how far apart two backends' losses are, step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.analysis.played import epochs_before, shared_losses
from harness.records.record import Record, is_metric


@dataclass(frozen=True)
class Curve:
    """One metric over the epochs of all phases, counted through from 1.

    mean, low, high: [epochs], over the seeds that reached the epoch; the band is the lowest and the
    highest seed. n: seeds per epoch. seeds: seed -> its own raw line [epochs], NaN where it stopped.
    phases: (name, first epoch) of each phase, of the longest run.
    """

    metric: str
    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    seeds: dict[int, np.ndarray]
    phases: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class LossDistance:
    """The largest distance between two runs' losses: relative |a - b| / max(|a|, |b|), at `step` of `seed`.

    steps: how many were compared. notes: what could not be compared. The relative distance is infinite
    where one loss is not finite and the other is, or where they are not finite in different ways.
    """

    relative: float
    absolute: float
    step: int
    seed: int
    steps: int
    notes: tuple[str, ...] = field(default=())


def metric_names(records: Sequence[Record]) -> list[str]:
    """Every metric of any epoch, in order of appearance."""
    rows = (epoch for record in records for phase in record.phases for epoch in phase.get("epochs") or [])
    return list(dict.fromkeys(name for row in rows for name in row if is_metric(name)))


def curve(records: Sequence[Record], metric: str) -> Curve | None:
    """The metric over epochs, across the records' seeds; None where no epoch has it."""
    lines: dict[int, list[float]] = {}
    for position, record in enumerate(records):
        values = record.history.get(metric)
        if values:
            lines[position if record.seed is None else int(record.seed)] = [math.nan] * epochs_before(record) + values
    if not lines:
        return None
    length = max(len(values) for values in lines.values())
    table = np.full((len(lines), length), np.nan)
    for row, values in enumerate(lines.values()):
        table[row, : len(values)] = values
    finite = np.isfinite(table)
    n = finite.sum(axis=0)
    some = n > 0
    mean, low, high = (np.full(length, np.nan) for _ in range(3))
    mean[some] = np.where(finite, table, 0.0).sum(axis=0)[some] / n[some]
    low[some] = np.where(finite, table, np.inf).min(axis=0)[some]
    high[some] = np.where(finite, table, -np.inf).max(axis=0)[some]
    return Curve(
        metric,
        np.arange(1, length + 1),
        mean,
        low,
        high,
        n,
        {seed: table[row] for row, seed in enumerate(lines)},
        phase_starts(records),
    )


def phase_starts(records: Sequence[Record]) -> tuple[tuple[str, int], ...]:
    """(name, first epoch counted through from 1) of each phase, of the record with the most epochs."""
    longest: tuple[tuple[str, int], ...] = ()
    most = -1
    for record in records:
        starts, epoch = [], 1 + epochs_before(record)
        for phase in record.phases:
            starts.append((str(phase["name"]), epoch))
            epoch += len(phase.get("epochs") or [])
        if epoch > most:
            longest, most = tuple(starts), epoch
    return longest


def loss_distance(a: Record, b: Record) -> LossDistance | None:
    """The largest distance between the step losses of two runs of one seed; None without common steps."""
    first, second = shared_losses([a, b])
    steps = min(len(first), len(second))
    if steps == 0:
        return None
    notes = () if len(first) == len(second) else (f"{len(first)} steps against {len(second)}",)
    first, second = first[:steps], second[:steps]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        absolute = np.abs(first - second)
        scale = np.maximum(np.abs(first), np.abs(second))
        relative = np.where(scale > 0, absolute / np.where(scale > 0, scale, 1.0), 0.0)
    # Equal infinities and two NaNs are the same; a NaN against a number is as far apart as can be.
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    broken = ~(np.isfinite(first) & np.isfinite(second))
    relative = np.where(same, 0.0, np.where(broken, np.inf, relative))
    absolute = np.where(same, 0.0, np.where(broken, np.inf, absolute))
    step = int(np.argmax(relative))
    return LossDistance(float(relative[step]), float(absolute[step]), step, int(a.seed or 0), steps, notes)


def largest_distance(pairs: Sequence[tuple[Record, Record]]) -> LossDistance | None:
    """The largest loss distance over pairs of runs; the notes of all pairs are kept."""
    found = [distance for a, b in pairs if (distance := loss_distance(a, b)) is not None]
    if not found:
        return None
    worst = max(found, key=lambda distance: distance.relative)
    notes = tuple(f"seed {distance.seed}: {note}" for distance in found for note in distance.notes)
    return LossDistance(worst.relative, worst.absolute, worst.step, worst.seed, worst.steps, notes)
