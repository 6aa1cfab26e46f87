"""How long one answer takes, and how many answers a second at each batch size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from harness.backends.contract import Session
from harness.records.process import Clock

# Calls that are not timed come first: allocators and caches.
FIRST_CALLS, LEAST_CALLS, MOST_CALLS = 20, 200, 10_000
# A call may take seconds: then there are fewer of them, and `n` says how many.
FEWEST_CALLS, LONGEST_SECONDS = 5, 20.0


@dataclass(frozen=True)
class Latency:
    """Percentiles of the seconds of one call (linear between neighbours, as NumPy's)."""

    batch: int
    p50_seconds: float
    p90_seconds: float
    p99_seconds: float
    n: int


def latency(
    call: Callable[[], None], batch: int = 1, clock: Clock = time.perf_counter, *, seconds: float = 1.0,
    longest: float = LONGEST_SECONDS,
) -> Latency:
    """Times single calls for about so many seconds, and for up to `longest` while there are fewer than LEAST_CALLS.

    call: returns when its outputs are on the host; that is the barrier, so the clock is read before and after it.
    """
    _calls(call, clock, seconds, FIRST_CALLS)
    times: list[float] = []
    began = clock()
    while len(times) < MOST_CALLS:
        before = clock()
        call()
        after = clock()
        times.append(after - before)
        enough = seconds if len(times) >= LEAST_CALLS else longest
        if len(times) >= FEWEST_CALLS and after - began >= enough:
            break
    p50, p90, p99 = (float(value) for value in np.percentile(times, [50, 90, 99]))
    return Latency(batch, p50, p90, p99, len(times))


def throughput(
    call: Callable[[], None], batch: int, clock: Clock = time.perf_counter, *, seconds: float = 0.5,
) -> float:
    """Examples per second of calls back to back, for about so many seconds."""
    call()
    calls, spent = _calls(call, clock, seconds, MOST_CALLS)
    return calls * batch / spent


def _calls(call: Callable[[], None], clock: Clock, seconds: float, most: int) -> tuple[int, float]:
    """(calls, seconds): FEWEST_CALLS at least, then until either is reached."""
    calls, spent, began = 0, 0.0, clock()
    while calls < FEWEST_CALLS or (calls < most and spent < seconds):
        call()
        calls += 1
        spent = clock() - began
    return calls, spent


def throughputs(
    session: Session, batches: Iterable[int], clock: Clock = time.perf_counter, *, seconds: float = 0.5,
) -> dict[str, float]:
    """Batch size (as text, for JSON) -> examples per second."""
    return {str(batch): throughput(session.inference(batch), batch, clock, seconds=seconds) for batch in batches}
