"""Rung R5 of the certificate: whole runs over paired seeds, where rounding has carried single steps apart.

Two backends pass when both hold over the paired seeds: the final metric is equivalent inside the margin at its last
look (analysis/accuracy.py), and so is the loss in each of CHECKPOINTS equal parts of the training (two one-sided t
tests at 5% each; all must hold, so no correction for their number is due). They fail where the metric is better by at
least the margin in one, or the loss differs by more than it in a part (5% over all parts together).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.judgement import DECIDED, Judgement
from harness.analysis.played import shared_losses
from harness.analysis.seed_looks import ALPHA
from harness.analysis.statistics import equivalence_p_value, paired_difference
from harness.records.record import Record

CHECKPOINTS = 20
FEWEST_SEEDS = 5
# Below this share of the first part's loss, a loss counts as this large: 1% of a loss that is nearly zero is noise.
LEAST_SHARE = 0.1
PASSED, FAILED, OPEN, NOT_RUN = "passed", "failed", "not decided", "not run"


@dataclass(frozen=True)
class WholeRuns:
    """status: "passed" (equivalent), "failed" (shown to differ), "not decided" (the pairs show neither) or "not run";
    reason: why it did not pass. n: pairs. measure: the final metric.

    steps: the last step of each part of the curve. differences: mean relative difference of the loss there, the first
    backend's minus the second's. p_values: of their equivalence. margin: the relative one of the loss.
    """

    status: str
    n: int
    measure: str
    reason: str | None = None
    steps: tuple[int, ...] = ()
    differences: tuple[float, ...] = ()
    p_values: tuple[float, ...] = ()
    margin: float = 0.0

    @property
    def largest(self) -> float | None:
        """The largest mean relative difference of the loss curve."""
        return max((abs(value) for value in self.differences), default=None)

    @property
    def sentence(self) -> str:
        seeds = f"{self.n} paired seed{'' if self.n == 1 else 's'}"
        if self.status != PASSED:
            return f"{self.status}: {self.reason}"
        return (f"passed over {seeds}: {self.measure} and the loss in {len(self.steps)} parts of the training are "
                f"equivalent (largest mean difference {self.largest:.2g} of the loss, margin {self.margin:.2g})")

    def to_data(self) -> dict[str, Any]:
        return {"status": self.status, "reason": self.reason, "n": self.n, "measure": self.measure,
                "steps": list(self.steps), "differences": list(self.differences), "p_values": list(self.p_values),
                "margin": self.margin, "sentence": self.sentence}


def whole_runs(pairs: Sequence[tuple[Record, Record]], quality: Judgement, margin: float) -> WholeRuns:
    """Holds the pairs against the rung. quality: the judgement of the final metric; margin: of the loss, relative."""
    n, measure = len(pairs), quality.measure
    if n < FEWEST_SEEDS:
        return WholeRuns(NOT_RUN, n, measure, f"{n} of {FEWEST_SEEDS} paired seeds")
    curves = _curves(pairs)
    if curves is None:
        return WholeRuns(NOT_RUN, n, measure, "the steps' losses were not kept")
    steps, a, b = curves
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return WholeRuns(FAILED, n, measure, "a loss is not finite")
    scale = (np.abs(a) + np.abs(b)).mean(axis=0) / 2
    scale = np.maximum(scale, LEAST_SHARE * scale[0])
    scale[scale == 0] = 1.0
    first, second = a / scale, b / scale
    p_values = tuple(_p_value(first[:, part], second[:, part], margin) for part in range(len(steps)))
    found = WholeRuns(PASSED, n, measure, None, steps, tuple((first - second).mean(axis=0).tolist()), p_values, margin)
    worst = int(np.argmax(p_values))
    # One part that differs is enough to fail: each is asked at its share of 5%.
    confidence = 1 - ALPHA / len(steps)
    shown = [part for part in range(len(steps)) if _differs(first[:, part], second[:, part], margin, confidence)]
    part = shown[0] if shown else worst
    curve = (f"the losses up to step {steps[part] + 1} are not {{}} inside {margin:.2g}: mean difference "
             f"{found.differences[part]:+.2g}")
    if quality.outcome == "better":
        return replace(found, status=FAILED, reason=f"{measure} is not equivalent: {quality.sentence}")
    if shown:
        return replace(found, status=FAILED, reason=curve.format("equivalent"))
    if quality.outcome != DECIDED[0]:
        return replace(found, status=OPEN, reason=f"{measure} is not shown to be equivalent: {quality.sentence}")
    if p_values[worst] >= ALPHA:
        return replace(found, status=OPEN, reason=f"{curve.format('shown to be equivalent')}; more seeds would tell")
    return found


def _curves(pairs: Sequence[tuple[Record, Record]]) -> tuple[tuple[int, ...], np.ndarray, np.ndarray] | None:
    """(last step of each part, losses of the first [pairs, parts], of the second): means over the parts of the steps
    that all runs have. A mean over a part says more than one batch's loss."""
    every = shared_losses([record for pair in pairs for record in pair])
    sides = [every[0::2], every[1::2]]
    length = min(len(losses) for side in sides for losses in side)
    if length == 0:
        return None
    parts = np.array_split(np.arange(length), min(CHECKPOINTS, length))
    whole = [np.array([losses[:length] for losses in side]) for side in sides]
    halves = [np.stack([side[:, part[0]:part[-1] + 1].mean(axis=1) for part in parts], axis=1) for side in whole]
    return tuple(int(part[-1]) for part in parts), halves[0], halves[1]


def _differs(a: np.ndarray, b: np.ndarray, margin: float, confidence: float) -> bool:
    """Whether the difference is beyond the margin with all of its interval."""
    figure = paired_difference(a.tolist(), b.tolist(), "relative", confidence)
    return figure.low is not None and figure.high is not None and (figure.low > margin or figure.high < -margin)


def _p_value(a: np.ndarray, b: np.ndarray, margin: float) -> float:
    found = equivalence_p_value(a.tolist(), b.tolist(), margin)
    return 1.0 if found is None or math.isnan(found) else found
