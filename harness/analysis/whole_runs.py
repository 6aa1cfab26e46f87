"""Rung R5 of the certificate: whole runs over paired seeds, where rounding has carried single steps apart.

Two backends pass when both hold over the paired seeds: the final metric is equivalent inside the margin, and so is the
loss in each of CHECKPOINTS equal parts of the training (two one-sided t tests at 5% each; all must hold, so no
correction for their number is due).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis.judgement import ALPHA, DECIDED, Judgement
from harness.analysis.statistics import equivalence_p_value
from harness.records.record import Record

CHECKPOINTS = 20
FEWEST_SEEDS = 5
# Below this share of the first part's loss, a loss counts as this large: 1% of a loss that is nearly zero is noise.
LEAST_SHARE = 0.1
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


@dataclass(frozen=True)
class WholeRuns:
    """status: "passed", "failed" or "not run"; reason: why not. n: pairs. measure: the final metric.

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
    reason = None
    if quality.outcome != DECIDED[0]:
        reason = f"{measure} is not equivalent: {quality.sentence}"
    elif p_values[worst] >= ALPHA:
        reason = (f"the losses up to step {steps[worst] + 1} are not equivalent inside {margin:.2g}: mean difference "
                  f"{found.differences[worst]:+.2g}")
    if reason is None:
        return found
    return WholeRuns(FAILED, n, measure, reason, steps, found.differences, p_values, margin)


def _curves(pairs: Sequence[tuple[Record, Record]]) -> tuple[tuple[int, ...], np.ndarray, np.ndarray] | None:
    """(last step of each part, losses of the first [pairs, parts], of the second): means over the parts of the steps
    that all runs have. A mean over a part says more than one batch's loss."""
    length = min(len(record.losses) for pair in pairs for record in pair)
    if length == 0:
        return None
    parts = np.array_split(np.arange(length), min(CHECKPOINTS, length))
    halves = [np.array([[pair[side].losses[part].mean() for part in parts] for pair in pairs]) for side in (0, 1)]
    return tuple(int(part[-1]) for part in parts), halves[0], halves[1]


def _p_value(a: np.ndarray, b: np.ndarray, margin: float) -> float:
    found = equivalence_p_value(a.tolist(), b.tolist(), margin)
    return 1.0 if found is None or math.isnan(found) else found
