"""R3 and R4: how far two backends' trainings drift apart, beside how far rounding alone carries each from itself.

D(t) is the relative L2 distance after t steps. It may be FACTOR times the largest control up to t, of either backend,
and is never asked to be below a floor (distances.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.certify.certificate import FAILED, PASSED, SKIPPED, Curve, Difference, Rung
from harness.certify.distances import (
    LOSS,
    WEIGHTS,
    NotFinite,
    Pair,
    floats,
    loss_distance,
    norms_of,
    not_finite,
    relative,
    squares_between,
)

FACTOR = 10.0
# T* is where the controls reach this part of the distance between two seeds.
HORIZON = 0.01
# The first step's difference is judged whatever the horizon.
ALWAYS = 1
LOCK_STEP = "lock-step, uncompiled"
# How many times the smaller of the two frameworks' largest controls the band may reach: a mistake that makes one of
# them go far from itself (a state that survives a reload) may not excuse it.
UNEQUAL = 100.0
# What a session is that is not brought back to its first state by loading it.
AGAIN = "the first steps, played again from the same state,"
# A weight that is small beside the others (a bias that begins with 0) is measured by this part of the largest.
SMALL = 1e-3


@dataclass(frozen=True)
class Comparison:
    """Two trainings at some moments. steps: how many had been played at each; ours, theirs: per weight an array
    [moments, elements]; theirs is what is measured by."""

    program: str
    steps: tuple[int, ...]
    ours: list[np.ndarray]
    theirs: list[np.ndarray]


@dataclass(frozen=True)
class Band:
    """What D(t) of one quantity is held against, at every step: see Curve."""

    controls: Mapping[str, np.ndarray]
    limit: np.ndarray
    seeds: np.ndarray


def trajectory_rung(pair: Pair, name: str = "R3", until: int | None = None) -> tuple[Rung, tuple[Curve, ...]]:
    """The rung of two trainings in lock-step, and the curves of weights, moving statistics and loss. until: the last
    step that is judged, where rounding decided the next one (certify/ties.py).

    "failed": a D(t) is beyond its limit before the horizon, or one of the two is NaN. "not run": both became NaN at
    the same step, `reason` says which. details: {"horizon": T* or None, "judged to": the last step that counts,
    "closest": the largest part of its limit that a D(t) took, "controls": the largest D(t) in controls, "unusable
    controls": those that went further than rounding does}; "not finite from": the step from which both are NaN; and
    where it failed "first": {"quantity", "step", "weight", "program"} and "weights": those furthest out at that step.
    """
    return _rung(pair, name, [_lock_step(pair)], until)


def timed_rung(pair: Pair, name: str = "R4", until: int | None = None) -> tuple[Rung, tuple[Curve, ...]]:
    """As `trajectory_rung`, in the precision that is timed; and the programs that are timed, each against its own
    backend's training in lock-step and against each other, at some steps, within the same limits. They are compared
    by weights: one that leaves an update out may well have the right losses."""
    return _rung(pair, name, [_lock_step(pair), *_programs(pair)], until)


def _rung(
    pair: Pair, name: str, comparisons: Sequence[Comparison], until: int | None,
) -> tuple[Rung, tuple[Curve, ...]]:
    if pair.reference.names != pair.other.names or pair.reference.steps != pair.other.steps:
        what = "the two trainings have not the same weights and steps"
        return Rung(name, FAILED, failed=(Difference(what, float("inf"), 0.0),), reason=what), ()
    bands, nan = bands_of(pair), not_finite(pair)
    horizon = horizon_of(bands[WEIGHTS], pair.reference.steps + 1 if nan is None else nan.step)
    curves = {
        comparison.program: tuple(_curves(pair, comparison, bands, horizon)) for comparison in comparisons
    }
    curves[LOCK_STEP] += (_loss_curve(pair, bands[LOSS], horizon),)
    rung = _judged(pair, name, comparisons, curves, bands, nan, until)
    return rung, tuple(curve for group in curves.values() for curve in group)


def _lock_step(pair: Pair) -> Comparison:
    return Comparison(LOCK_STEP, tuple(range(pair.reference.steps + 1)), pair.other.weights, pair.reference.weights)


def _programs(pair: Pair) -> Iterator[Comparison]:
    for side in pair.sides:
        if (timed := side.timed) is not None:
            at = [array[list(timed.steps)] for array in side.weights]
            program = f"{side.backend} as timed ({timed.name}) against {LOCK_STEP}"
            yield Comparison(program, timed.steps, timed.weights, at)
    theirs, ours = pair.reference.timed, pair.other.timed
    if theirs is not None and ours is not None and theirs.steps == ours.steps:
        yield Comparison("both as timed", ours.steps, ours.weights, theirs.weights)


# -- what rounding does

def bands_of(pair: Pair) -> dict[str, Band]:
    """Quantity -> its controls, limit and distance of two seeds. Weights [0..steps], the loss [1..steps]."""
    bands = {}
    norms = {side.backend: norms_of(side.weights) for side in pair.sides}
    seeds = pair.reference.seeds
    for quantity, group in pair.groups.items():
        if group or quantity == WEIGHTS:
            of = {backend: array[:, group].sum(1) for backend, array in norms.items()}
            controls = {name: relative(distance.squares[:, group].sum(1), of[side.backend])
                        for side, name, distance in pair.controls}
            apart = np.zeros(0) if seeds is None else relative(
                seeds.squares[:, group].sum(1), of[pair.reference.backend])
            bands[quantity] = Band(controls, band_limits(pair, controls, pair.reference.steps + 1), apart)
    controls = {name: loss_distance(distance.losses, side.losses) for side, name, distance in pair.controls}
    apart = np.zeros(0) if seeds is None else loss_distance(seeds.losses, pair.reference.losses)
    bands[LOSS] = Band(controls, band_limits(pair, controls, pair.reference.steps), apart)
    return bands


def band_limits(pair: Pair, controls: Mapping[str, Any], count: int) -> np.ndarray:
    """float64 [count]: `limits` of both frameworks' controls, but not beyond UNEQUAL times those of the quieter one."""
    sides = [limits({name: values for name, values in controls.items() if name.startswith(f"{side.backend}, ")},
                    count, pair.floor) for side in pair.sides]
    return np.minimum(limits(controls, count, pair.floor), UNEQUAL * np.minimum(*sides))


def limits(controls: Mapping[str, Any], count: int, floor: float) -> np.ndarray:
    """float64 [count]: FACTOR times the largest control so far, at least the floor."""
    return np.maximum(FACTOR * np.maximum.accumulate(largest(controls, count)), floor)


def largest(controls: Mapping[str, Any], count: int) -> np.ndarray:
    """float64 [count]: the largest control at each step; one that became NaN is as far away as can be."""
    highest = np.zeros(count)
    for values in controls.values():
        highest = np.maximum(highest, np.nan_to_num(np.asarray(values), nan=np.inf, posinf=np.inf))
    return highest


def horizon_of(band: Band, moments: int) -> int | None:
    """T*: how many steps had been played when a control first reached HORIZON of the distance of two seeds. moments:
    how many are looked at; from where a training is NaN nothing is known of it."""
    if not len(band.seeds):
        return None
    seeds = band.seeds[:moments]
    highest = largest(band.controls, len(band.seeds))[:moments]
    reached = (highest > 0) & (highest >= HORIZON * seeds)
    return int(np.argmax(reached)) if reached.any() else None


# -- curves

def _curves(
    pair: Pair, comparison: Comparison, bands: Mapping[str, Band], horizon: int | None,
) -> Iterator[Curve]:
    squares, norms = squares_between(comparison.ours, comparison.theirs), norms_of(comparison.theirs)
    for quantity, group in pair.groups.items():
        if group:
            between = relative(squares[:, group].sum(1), norms[:, group].sum(1))
            at = np.array(comparison.steps)
            yield _curve(pair, quantity, comparison, between, bands[quantity], at, horizon)


def _loss_curve(pair: Pair, band: Band, horizon: int | None) -> Curve:
    between = loss_distance(pair.other.losses, pair.reference.losses)
    steps = Comparison(LOCK_STEP, tuple(range(1, pair.reference.steps + 1)), [], [])
    return _curve(pair, LOSS, steps, between, band, np.arange(pair.reference.steps), horizon)


def _curve(
    pair: Pair, quantity: str, of: Comparison, between: np.ndarray, band: Band, at: np.ndarray, horizon: int | None,
) -> Curve:
    controls = {name: floats(values[at]) for name, values in band.controls.items()}
    seeds = floats(band.seeds[at]) if len(band.seeds) else ()
    return Curve(quantity, pair.reference.dtype, of.program, of.steps, floats(between), controls,
                 floats(band.limit[at]), seeds, horizon)


# -- the judgement

def _judged(
    pair: Pair, name: str, comparisons: Sequence[Comparison], curves: Mapping[str, Sequence[Curve]],
    bands: Mapping[str, Band], nan: NotFinite | None, until: int | None,
) -> Rung:
    horizon = curves[LOCK_STEP][0].horizon
    last = max(ALWAYS, horizon - 1) if horizon is not None else pair.reference.steps
    last = last if until is None else min(last, until)
    alone = nan is not None and not nan.both and nan.step <= last
    if nan is not None:
        last = min(last, nan.step - 1)
    points = [(step, curve, point) for group in curves.values() for curve in group
              for step, point in judged_points(curve, last)]
    failed = sorted((item for item in points if item[2].fails), key=lambda item: item[0])
    judged = [*(point for _, _, point in points), *played_again(pair)]
    worst = max(judged, key=lambda point: point.nearness)
    details: dict[str, Any] = {
        "horizon": horizon, "judged to": last, "closest": worst.nearness,
        "controls": _in_controls(curves[LOCK_STEP][0], bands[WEIGHTS], last), "unusable controls": pair.unusable}
    differences = [point for _, _, point in failed]
    differences += [item for item in played_again(pair) if item.fails and not alone]
    if failed:
        step, curve, _ = failed[0]
        comparison = next(item for item in comparisons if item.program == curve.program)
        details |= _place(pair, comparison, step, curve.quantity)
    elif alone and nan is not None:
        details["first"] = _first(nan)
    if alone and nan is not None:
        differences.append(Difference(nan.sentence, float("inf"), 0.0))
    reason = nan.sentence if nan is not None and nan.both else None
    if reason is not None and nan is not None:
        details["not finite from"] = nan.step
    status = FAILED if differences else SKIPPED if reason else PASSED
    return Rung(name, status, len(judged), worst, tuple(differences), reason, details=details)


def played_again(pair: Pair) -> list[Difference]:
    """Of each backend, how far its first steps were from themselves when its session played them once more."""
    return [Difference(f"{AGAIN} in {side.backend}", side.again, pair.floor) for side in pair.sides]


def judged_points(curve: Curve, last: int) -> Iterable[tuple[int, Difference]]:
    """One figure for each step up to the last that is judged, with its step."""
    program = "" if curve.program == LOCK_STEP else f"{curve.program}: "
    for index, step in enumerate(curve.steps):
        if step <= last:
            highest = max((values[index] for values in curve.controls.values()), default=None)
            what = f"loss of step {step}" if curve.quantity == LOSS else f"{curve.quantity} after step {step}"
            yield step, Difference(program + what, curve.between[index], curve.limit[index], highest)


def _first(nan: NotFinite) -> dict[str, Any]:
    return {"quantity": nan.quantity, "step": nan.step, "weight": nan.weight, "program": LOCK_STEP}


def _place(pair: Pair, comparison: Comparison, step: int, quantity: str) -> dict[str, Any]:
    out = weights_out(pair, comparison, step)
    return {
        "first": {"quantity": quantity, "step": step, "weight": out[0]["weight"] if out else None,
                  "program": comparison.program},
        "weights": out,
    }


def weights_out(pair: Pair, comparison: Comparison, step: int, most: int = 5) -> list[dict[str, Any]]:
    """{"weight", "difference", "limit"} of the weights beyond their own limits after a step, the furthest first."""
    moment = comparison.steps.index(step)
    squares = squares_between([array[moment:moment + 1] for array in comparison.ours],
                              [array[moment:moment + 1] for array in comparison.theirs])[0]
    highest = np.zeros(len(squares))
    for side, _, distance in pair.controls:
        found = relative(distance.squares[:step + 1], _shown(norms_of([array[:step + 1] for array in side.weights])))
        highest = np.maximum(highest, np.nan_to_num(found, nan=np.inf).max(0))
    own = relative(squares, _shown(norms_of([array[step:step + 1] for array in pair.reference.weights]))[0])
    allowed = np.maximum(FACTOR * highest, pair.floor)
    excess = np.nan_to_num(own / allowed, nan=np.inf)
    order = [int(index) for index in np.argsort(-excess, kind="stable")[:most] if excess[index] > 1]
    return [{"weight": pair.reference.names[index], "difference": float(own[index]), "limit": float(allowed[index])}
            for index in order]


def _shown(norms: np.ndarray) -> np.ndarray:
    return np.maximum(norms, SMALL**2 * norms.max(1, keepdims=True))


def _in_controls(curve: Curve, band: Band, last: int) -> float:
    """The largest D(t) of the weights in largest controls up to t, from the first step on."""
    highest = np.maximum.accumulate(largest(band.controls, len(curve.between)))[1:last + 1]
    between = np.asarray(curve.between)[1:last + 1]
    known = highest > 0
    return float(np.max(between[known] / highest[known], initial=0.0))
