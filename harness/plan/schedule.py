"""The learning rate of every step, computed once on the host in float64 by Keras's formulas.

Stock Keras evaluates its schedules in float32 (semantics.md 9b); both backends are handed these numbers
instead, so that neither evaluates a schedule. Source: keras/src/optimizers/schedules/learning_rate_schedule.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import SpecError
from harness.spec.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    Schedule,
    WarmupDecay,
)

Array = NDArray[np.float64]


def learning_rates(
    learning_rate: float | Schedule, steps: int, first_iteration: int = 0, within: tuple[int, int] | None = None,
) -> Array:
    """float64 [steps]: the rates of the updates first_iteration, first_iteration + 1, ...

    The first update of a fresh optimizer is iteration 0. within: where the steps are part of a longer phase, its steps
    before them and all of its steps. Raises SpecError where the schedule has no finite rate.
    """
    step = np.arange(first_iteration, first_iteration + steps, dtype=np.int64)
    if not isinstance(learning_rate, Schedule):
        return np.full(steps, learning_rate, np.float64)
    with np.errstate(all="ignore"):
        if isinstance(learning_rate, WarmupDecay):
            before, total = within or (0, steps)
            rates = _warmup_decay(learning_rate, np.arange(before, before + steps, dtype=np.float64), total)
        else:
            rates = np.asarray(SCHEDULES[type(learning_rate)](learning_rate, step), np.float64)
    if not np.isfinite(rates).all():
        first = int(step[np.argmin(np.isfinite(rates))])
        raise SpecError(f"{learning_rate!r} has no finite learning rate at step {first}.")
    return rates


def _warmup_decay(schedule: WarmupDecay, step: Array, total: int) -> Array:
    """The rates at these steps of a phase of `total` steps."""
    warmup = round(schedule.warmup * total) if schedule.warmup_steps is None else schedule.warmup_steps
    if warmup >= total and schedule.decay != "constant":
        raise SpecError(f"WarmupDecay: the warm-up of {warmup} steps leaves none of the phase's {total} to decay in.",
                        hint="Choose fewer warmup_steps, or a share: warmup: 0.1.")
    first, peak, end = schedule.initial_learning_rate, schedule.learning_rate, schedule.end_learning_rate
    rising = first + (peak - first) * step / max(warmup, 1)
    passed = np.minimum((step - warmup) / max(total - warmup, 1), 1.0)
    left = {"constant": np.ones_like(passed), "linear": 1.0 - passed,
            "cosine": 0.5 * (1.0 + np.cos(np.pi * passed))}[schedule.decay]
    return np.where(step < warmup, rising, end + (peak - end) * left)


def _passed(schedule: ExponentialDecay | InverseTimeDecay, step: NDArray[np.int64]) -> Array:
    passed = step.astype(np.float64) / schedule.decay_steps
    return np.floor(passed) if schedule.staircase else passed


def _exponential(schedule: ExponentialDecay, step: NDArray[np.int64]) -> Array:
    return schedule.initial_learning_rate * np.power(schedule.decay_rate, _passed(schedule, step))


def _inverse_time(schedule: InverseTimeDecay, step: NDArray[np.int64]) -> Array:
    return schedule.initial_learning_rate / (1.0 + schedule.decay_rate * _passed(schedule, step))


def _polynomial(schedule: PolynomialDecay, step: NDArray[np.int64]) -> Array:
    at = step.astype(np.float64)
    decay_steps = np.full_like(at, schedule.decay_steps)
    if schedule.cycle:
        decay_steps *= np.where(at == 0, 1.0, np.ceil(at / schedule.decay_steps))
    else:
        at = np.minimum(at, decay_steps)
    fall = schedule.initial_learning_rate - schedule.end_learning_rate
    return fall * np.power(1.0 - at / decay_steps, schedule.power) + schedule.end_learning_rate


def _piecewise_constant(schedule: PiecewiseConstantDecay, step: NDArray[np.int64]) -> Array:
    # Keras casts the boundaries to the step's integer type; a boundary belongs to the value before it.
    boundaries = np.asarray(schedule.boundaries, np.float64).astype(np.int64)
    return np.asarray(schedule.values, np.float64)[np.searchsorted(boundaries, step, side="left")]


def _cosine(schedule: CosineDecay, step: NDArray[np.int64]) -> Array:
    warmup_steps = 0.0 if schedule.warmup_target is None else schedule.warmup_steps
    target = schedule.initial_learning_rate if schedule.warmup_target is None else schedule.warmup_target
    at = np.minimum(step.astype(np.float64), schedule.decay_steps + warmup_steps)
    cosine = 0.5 * (1.0 + np.cos(np.pi * ((at - warmup_steps) / schedule.decay_steps)))
    decayed = target * ((1 - schedule.alpha) * cosine + schedule.alpha)
    if not warmup_steps:
        return decayed
    rising = (target - schedule.initial_learning_rate) * (at / warmup_steps) + schedule.initial_learning_rate
    return np.where(at < warmup_steps, rising, decayed)


def _cosine_restarts(schedule: CosineDecayRestarts, step: NDArray[np.int64]) -> Array:
    completed = step.astype(np.float64) / schedule.first_decay_steps
    t_mul = np.float64(schedule.t_mul)
    if t_mul == 1.0:
        restart = np.floor(completed)
        completed = completed - restart
    else:
        # At the very step of a restart the quotient of logarithms is an integer up to rounding, and which side
        # it falls on differs between libraries; the nudge puts it where the restart is.
        restart = np.floor(np.log(1.0 - completed * (1.0 - t_mul)) / np.log(t_mul) + 1e-12)
        before = (1.0 - np.power(t_mul, restart)) / (1.0 - t_mul)
        completed = (completed - before) / np.power(t_mul, restart)
    cosine = 0.5 * np.power(schedule.m_mul, restart) * (1.0 + np.cos(np.pi * completed))
    return schedule.initial_learning_rate * ((1 - schedule.alpha) * cosine + schedule.alpha)


SCHEDULES: dict[type[Schedule], Callable[[Any, NDArray[np.int64]], Array]] = {
    ExponentialDecay: _exponential,
    InverseTimeDecay: _inverse_time,
    PolynomialDecay: _polynomial,
    PiecewiseConstantDecay: _piecewise_constant,
    CosineDecay: _cosine,
    CosineDecayRestarts: _cosine_restarts,
}
