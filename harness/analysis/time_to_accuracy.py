"""How soon a fixed target is reached: restricted mean time over paired seeds, runs that never reach it censored.

The metric is known only at the evaluations, so a run reaches its target at the first evaluation that shows it: a step
function on the grid of epochs, nothing smoothed and nothing between. The clock is that of training: seconds inside
training windows (compilation and first allocations among them) and the seconds in which the model was opened;
evaluation is not counted. Every run that reaches the target takes exactly

    seconds = steps to the target x steady seconds per step + start-up

where start-up is the opening and whatever its first steps took beyond the steady pace.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.resampling import RESAMPLES, SEED
from harness.analysis.statistics import CONFIDENCE, Figure, student_interval
from harness.analysis.survival import common_horizon, restricted_mean, weighted_restricted_means
from harness.records.record import Record


@dataclass(frozen=True)
class Reach:
    """One run. reached: whether it met the target; seconds: until then, else until it was given up (censored).

    steps, step_seconds, start_up_seconds: the factors, None where the run's windows do not tell or it was censored.
    """

    reached: bool
    seconds: float
    steps: int | None = None
    step_seconds: float | None = None
    start_up_seconds: float | None = None


@dataclass(frozen=True)
class Arrival:
    """One backend over all seeds. mean: restricted mean seconds up to the horizon. share: of runs that reached it.

    curve: (seconds, share of runs that have arrived, runs still on their way just before), Kaplan-Meier, one entry
    per step. steps, step_seconds, start_up_seconds: of the runs that reached it; None where no run tells.
    """

    mean: Figure
    share: Figure
    curve: tuple[tuple[float, float, int], ...]
    steps: Figure | None
    step_seconds: Figure | None
    start_up_seconds: Figure | None

    def to_data(self) -> dict[str, Any]:
        figures = {name: getattr(self, name) for name in
                   ("mean", "share", "steps", "step_seconds", "start_up_seconds")}
        return {**{name: figure and figure.to_data() for name, figure in figures.items()},
                "curve": [{"seconds": time, "arrived": share, "at_risk": n} for time, share, n in self.curve]}


@dataclass(frozen=True)
class TimeToAccuracy:
    """Two backends, in the order of `arrivals`. horizon: seconds up to which both are known. difference: of the
    restricted means, first minus second; ratio: first over second, below 1 where the first is sooner; None where a run
    took no time. log_ratios: of each pair's seconds, first over second; None where a run was censored before the
    horizon, or all were. cautions: sentences.
    """

    metric: str
    target: float
    horizon: float
    n: int
    arrivals: Mapping[str, Arrival]
    difference: Figure
    ratio: Figure | None
    log_ratios: tuple[float, ...] | None
    cautions: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        return {"metric": self.metric, "target": self.target, "horizon_seconds": self.horizon, "n": self.n,
                "arrivals": {name: arrival.to_data() for name, arrival in self.arrivals.items()},
                "difference": self.difference.to_data(), "ratio": self.ratio and self.ratio.to_data(),
                "log_ratios": None if self.log_ratios is None else list(self.log_ratios),
                "cautions": list(self.cautions)}


def time_to_accuracy(
    pairs: Sequence[tuple[Record, Record]], metric: str, target: float, more_is_better: bool = True,
    budget: float | None = None, confidence: float = CONFIDENCE,
) -> TimeToAccuracy:
    """Of finished records, paired by seed, the first of each pair of one backend and the second of the other.

    metric: of the epochs' rows, by Keras's name ("val_accuracy"). target: is reached at `target` or better. budget:
    seconds of training after which a run counts as given up; where None, its own end is. Raises ValueError without
    pairs.
    """
    reaches = [tuple(reach(record, metric, target, more_is_better, budget) for record in pair) for pair in pairs]
    names = (pairs[0][0].backend, pairs[0][1].backend) if pairs else ("", "")
    return compare_reaches([(first, second) for first, second in reaches], names, metric, target, confidence)


def reach(
    record: Record, metric: str, target: float, more_is_better: bool = True, budget: float | None = None
) -> Reach:
    """When one run first met the target. A metric that is missing or not a number meets nothing."""
    opened = float((record.data.get("timing") or {}).get("open_seconds") or 0.0)
    clock, steps, played = opened, 0, 0
    windows: list[tuple[int, float, bool]] = []
    known = True
    for phase in record.phases:
        rows = phase.get("epochs") or []
        per_epoch = _steps_per_epoch(phase)
        known = known and per_epoch is not None
        for position, row in enumerate(rows):
            clock += float(row.get("seconds") or 0.0)
            if budget is not None and clock > budget:
                return Reach(False, budget)
            value = row.get(metric)
            if value is None or not _meets(float(value), target, more_is_better):
                continue
            if not known or per_epoch is None:
                return Reach(True, clock)
            done = per_epoch * (position + 1)
            windows += _windows(phase, done)
            pace = _pace(windows)
            steps = played + done
            if pace is None:
                return Reach(True, clock, steps)
            return Reach(True, clock, steps, pace, clock - steps * pace)
        windows += _windows(phase, None)
        played += (per_epoch or 0) * len(rows)
    return Reach(False, clock)


def compare_reaches(
    reaches: Sequence[tuple[Reach, Reach]], names: tuple[str, str], metric: str, target: float,
    confidence: float = CONFIDENCE, seed: int = SEED,
) -> TimeToAccuracy:
    """The comparison of runs paired by seed. Whole pairs are resampled; the horizon stays that of all of them."""
    if not reaches:
        raise ValueError("time to accuracy needs at least one pair of runs")
    n = len(reaches)
    times = np.array([[half.seconds for half in pair] for pair in reaches])
    events = np.array([[half.reached for half in pair] for pair in reaches])
    horizon = common_horizon(times[:, 0], events[:, 0], times[:, 1], events[:, 1])
    means = [restricted_mean(times[:, side], events[:, side], horizon) for side in (0, 1)]
    drawn = _resampled(times, events, horizon, seed) if n >= 2 else None
    arrivals = {names[side]: _arrival([pair[side] for pair in reaches], means[side], horizon,
                                      None if drawn is None else drawn[:, side], confidence) for side in (0, 1)}
    what = "restricted means, bootstrap of pairs"
    ends = None if drawn is None else drawn[:, 0] - drawn[:, 1]
    difference = _figure(means[0] - means[1], ends, n, "s", f"difference of {what}", confidence)
    ratio, logs = None, None
    if np.all(times > 0):
        ends = None if drawn is None else np.log(drawn[:, 0] / drawn[:, 1])
        ratio = _exponential(_figure(math.log(means[0] / means[1]), ends, n, "ratio", f"ratio of {what}", confidence))
        if events.any() and np.all(events | (times >= horizon)):
            logs = tuple(np.diff(np.log(np.minimum(times, horizon)[:, ::-1]), axis=1)[:, 0].tolist())
    return TimeToAccuracy(metric, target, horizon, n, arrivals, difference, ratio, logs, _cautions(events, names, n))


def reachable_target(pairs: Sequence[tuple[Record, Record]], metric: str, more_is_better: bool = True) -> float | None:
    """The hardest target that every run reached: the worst run's best value; None if a run never has the metric.

    For want of a target fixed beforehand. It was seen in these runs, and a verdict on it should say so.
    """
    best = []
    for record in (record for pair in pairs for record in pair):
        values = [value for value in record.history.get(metric, ()) if math.isfinite(value)]
        if not values:
            return None
        best.append(max(values) if more_is_better else min(values))
    return (min(best) if more_is_better else max(best)) if best else None


def _resampled(times: np.ndarray, events: np.ndarray, horizon: float, seed: int) -> np.ndarray:
    """[RESAMPLES, 2]: restricted means of pairs drawn with replacement."""
    n = len(times)
    drawn = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    weights = np.zeros((RESAMPLES, n))
    np.add.at(weights, (np.arange(RESAMPLES)[:, None], drawn), 1.0)
    return np.stack([weighted_restricted_means(times[:, side], events[:, side], weights, horizon)
                     for side in (0, 1)], axis=1)


def _arrival(
    runs: Sequence[Reach], mean: float, horizon: float, drawn: np.ndarray | None, confidence: float
) -> Arrival:
    from scipy import stats
    from statsmodels.duration.survfunc import SurvfuncRight

    n, arrived = len(runs), sum(run.reached for run in runs)
    interval = stats.binomtest(arrived, n).proportion_ci(confidence, method="exact")
    share = Figure(arrived / n, float(interval.low), float(interval.high), n, "share of runs",
                   f"Clopper-Pearson, {confidence * 100:.3g}% interval", confidence)
    curve = SurvfuncRight(np.array([run.seconds for run in runs]), np.array([int(run.reached) for run in runs]))
    steps = tuple((float(time), 1 - float(left), int(at_risk)) for time, left, at_risk in
                  zip(curve.surv_times, curve.surv_prob, curve.n_risk, strict=True))
    what = f"restricted mean up to {horizon:.4g} s (Kaplan-Meier), bootstrap of pairs"
    figure = _figure(mean, drawn, n, "s", what, confidence)
    if figure.low is not None and figure.high is not None:
        figure = replace(figure, low=max(figure.low, 0.0), high=min(figure.high, horizon))
    return Arrival(figure, share, steps,
                   _mean([run.steps for run in runs if run.reached], "steps", confidence),
                   _mean([run.step_seconds for run in runs if run.reached], "s/step", confidence),
                   _mean([run.start_up_seconds for run in runs if run.reached], "s", confidence))


def _figure(value: float, drawn: np.ndarray | None, n: int, unit: str, what: str, confidence: float) -> Figure:
    method = f"{what}, {RESAMPLES} resamples, Student t on their spread, {confidence * 100:.3g}% interval"
    if drawn is None:
        return Figure(value, None, None, n, unit, method, confidence)
    from scipy import stats

    # Resamples of n spread (n - 1)/n as wide as they should. Of few pairs their outer percentiles are their ends: at 5
    # pairs and 98.3% such an interval misses in 5 to 6%, Student's in 2% (tests/analysis/test_seed_looks.py).
    spread = float(np.std(drawn)) * math.sqrt(n / (n - 1))
    half = float(stats.t.isf((1 - confidence) / 2, n - 1)) * spread if spread > 1e-12 * abs(value) else 0.0
    return Figure(value, value - half, value + half, n, unit, method, confidence)


def _exponential(figure: Figure) -> Figure:
    """A figure of logarithms turned into one of ratios."""
    low, high = (None if end is None else math.exp(end) for end in (figure.low, figure.high))
    return replace(figure, value=math.exp(figure.value), low=low, high=high)


def _mean(values: Sequence[float | None], unit: str, confidence: float) -> Figure | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    mean, low, high = student_interval(np.asarray(known, dtype=np.float64), confidence)
    method = f"mean over the runs that reached the target, Student t, {confidence * 100:.3g}% interval"
    return Figure(mean, low, high, len(known), unit, method, confidence)


def _cautions(events: np.ndarray, names: tuple[str, str], n: int) -> tuple[str, ...]:
    found = []
    for side, name in enumerate(names):
        missed = n - int(events[:, side].sum())
        if missed:
            found.append(f"{name} missed the target in {missed} of {n} runs: their time counts only up to the horizon")
    if not events.any():
        found.append("no run reached the target: the times say nothing, choose an easier one or train longer")
    return tuple(found)


def _meets(value: float, target: float, more_is_better: bool) -> bool:
    return value >= target if more_is_better else value <= target


def _steps_per_epoch(phase: Mapping[str, Any]) -> int | None:
    """Epochs of a phase are equally long; None where the windows do not say how long."""
    windows, epochs = phase.get("windows") or [], phase.get("epochs") or []
    stop = max((int(window["stop"]) for window in windows), default=0)
    return stop // len(epochs) if epochs and stop and stop % len(epochs) == 0 else None


def _windows(phase: Mapping[str, Any], stop: int | None) -> list[tuple[int, float, bool]]:
    """(steps, seconds, warm-up) of the windows up to that step; none straddles two epochs."""
    return [(int(window["stop"]) - int(window["start"]), float(window["seconds"]), bool(window.get("warmup")))
            for window in phase.get("windows") or [] if stop is None or int(window["stop"]) <= stop]


def _pace(windows: Sequence[tuple[int, float, bool]]) -> float | None:
    """Seconds per step after warm-up."""
    steady = [(steps, seconds) for steps, seconds, warmup in windows if not warmup]
    steps = sum(steps for steps, _ in steady)
    return sum(seconds for _, seconds in steady) / steps if steps else None
