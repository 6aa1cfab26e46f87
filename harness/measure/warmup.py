"""Warm-up: the first step of each batch size alone, then sub-windows until their times are steady."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.backends.contract import Session
from harness.errors import CellFailed
from harness.measure.guards import check_finite
from harness.measure.steady import last_groups, steady
from harness.measure.window import Player, Window, play_window
from harness.plan.plan import Plan, Tape
from harness.records.process import Clock

# A sub-window is a part of the timed window's length; one step, where that takes longer.
SUB_WINDOWS = 50
FIRST_STEPS, MOST_GROWTH, MOST_TRIALS = 10, 10.0, 8
REPEATS = 3
Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class FirstStep:
    """The first step of a batch size, and the same step again. compile_seconds: what the first one took longer:
    tracing, compiling, first allocations."""

    batch: int
    first_seconds: float
    again_seconds: float

    @property
    def compile_seconds(self) -> float:
        return max(0.0, self.first_seconds - self.again_seconds)

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "compile_seconds": self.compile_seconds}


@dataclass(frozen=True)
class Warmup:
    """Sub-windows of sub_steps steps until they were steady. ended: the step, counted from the first sub-window, at
    which the warm-up was over. step_seconds: the median over the last window's length. judged_by: "seconds" or
    "cpu_seconds"; noise: of those in a sub-window, as a fraction. rates: examples per second of each sub-window;
    cpu_seconds: of each."""

    steps: int
    seconds: float
    ended: int
    sub_steps: int
    step_seconds: float
    judged_by: str
    noise: float
    rates: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    steady: bool = True

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "rates": list(self.rates), "cpu_seconds": list(self.cpu_seconds)}


def first_steps(session: Session, tape: Tape, clock: Clock = time.perf_counter) -> list[FirstStep]:
    """Plays the first step of each batch size of the tape, in the tape's order, and each a few times again."""
    found = []
    for place in sorted(np.unique(tape.sizes, return_index=True)[1].tolist()):
        first = _one_step(session, place, clock)
        again = [_one_step(session, place, clock) for _ in range(REPEATS)]
        found.append(FirstStep(int(tape.sizes[place]), first, float(np.median(again))))
    check_finite(session.collect().losses)
    return found


def _one_step(session: Session, step: int, clock: Clock) -> float:
    session.wait()
    began = clock()
    session.train(step, step + 1)
    session.wait()
    return clock() - began


def warm_up(
    player: Player, plan: Plan, *, window_seconds: float, steadiness: float, limit: float, step_seconds: float,
    by_cpu: bool = False, sub_windows: int = SUB_WINDOWS, clock: Clock = time.perf_counter,
    cpu_clock: Clock = time.process_time, tell: Tell | None = None,
) -> Warmup:
    """Plays on until the times of sub-windows are steady (measure/steady.py) and nothing was compiled meanwhile.

    step_seconds: about what a step takes, so that the first sub-window is not too long. limit: seconds.
    sub_windows: about so many are as long as the window.
    by_cpu: it is the CPU seconds of this process that have to be steady. Where a CPU computes, they show compilation,
    allocation and throttling as the clock does, but not that another process had the core for a while.
    Raises CellFailed("no_steady_state") after the limit, CellFailed("nan_loss").
    """
    began = clock()
    target = window_seconds / sub_windows
    size, tried = _sub_window(player, plan, target, step_seconds, clock)
    windows: list[Window] = []
    since, programs = 0, _programs(player.session)
    while True:
        windows.append(play_window(player, size, clock, cpu_clock=cpu_clock))
        check_finite(player.session.collect().losses)
        if (found := _programs(player.session)) != programs:
            since, programs = len(windows), found
        times = np.array([item.cpu_seconds if by_cpu else item.seconds for item in windows[since:]]) / size
        window = _per_window(window_seconds, windows)
        state = steady(times, steadiness, window)
        spent = clock() - began
        if state is not None:
            latest = [item.seconds / size for item in windows[-window:]]
            return Warmup(
                steps=tried + size * len(windows), seconds=spent, ended=tried + size * (since + state.since),
                sub_steps=size, step_seconds=float(np.median(latest)),
                judged_by="cpu_seconds" if by_cpu else "seconds", noise=state.noise,
                rates=tuple(item.samples_per_second for item in windows),
                cpu_seconds=tuple(item.cpu_seconds for item in windows))
        if spent > limit:
            raise CellFailed("no_steady_state", _unsteady(times, steadiness, window, spent, size))
        if tell is not None and len(windows) % SUB_WINDOWS == 0:
            tell({"stage": "warm-up", "seconds": spent, "samples_per_second": windows[-1].samples_per_second})


def _sub_window(player: Player, plan: Plan, target: float, step_seconds: float, clock: Clock) -> tuple[int, int]:
    """(steps of a sub-window of about `target` seconds, steps played to find it out)."""
    # Ten steps, for a call of one may be nearly all call; fewer where a step alone takes as long as a sub-window.
    steps = max(1, min(FIRST_STEPS, int(FIRST_STEPS * target / max(step_seconds, 1e-9))))
    known, seconds_known, played = 1, step_seconds, 0
    for _ in range(MOST_TRIALS):
        seconds = max(play_window(player, steps, clock).seconds, 1e-9)
        check_finite(player.session.collect().losses)
        played += steps
        further = (seconds - seconds_known) / (steps - known) if steps > known else 0.0
        fitting = min(MOST_GROWTH * steps, steps + (target - seconds) / max(further, 0.1 * seconds / steps))
        if seconds >= target / 2 or fitting <= steps:
            break
        known, seconds_known, steps = steps, seconds, math.ceil(fitting)
    return in_whole_epochs(max(1, round(fitting)), plan.tape), played


def in_whole_epochs(steps: int, tape: Tape) -> int:
    """So many at least, in whole epochs where it is an epoch or more: then every stretch has the same batch sizes."""
    start, stop = tape.epoch_bounds()[0]
    epoch = stop - start
    return steps if steps < epoch else epoch * math.ceil(steps / epoch)


def _per_window(window_seconds: float, windows: list[Window]) -> int:
    """How many sub-windows are as long as the timed window."""
    sub_seconds = float(np.median([window.seconds for window in windows]))
    return max(1, min(SUB_WINDOWS, round(window_seconds / sub_seconds)))


def _programs(session: Session) -> int:
    return int(session.compilation()["programs"])


def _unsteady(times: np.ndarray, steadiness: float, window: int, seconds: float, size: int) -> str:
    """The sentence for it."""
    groups = last_groups(np.log(times), steadiness, window) if len(times) else None
    beginning = f"no steady state after {seconds:.0f} s of warm-up"
    if groups is None:
        return (f"{beginning}: {len(times)} sub-windows of {size} steps are too few to tell. "
                "Raise timing.warmup_seconds.")
    medians = ", ".join(f"{1e3 * math.exp(value):.4g}" for value in groups.medians)
    return (f"{beginning}: the time of a step still changes. The medians of the last three stretches are {medians} ms, "
            f"{math.expm1(groups.apart):.1%} apart where {math.expm1(groups.allowed):.1%} is allowed (noise "
            f"{groups.noise:.1%}). Let the machine come to rest (harness doctor), or raise timing.warmup_seconds.")
