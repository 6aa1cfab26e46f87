"""How steady this machine is: the same work again and again, and what its spread asks of a comparison.

A quick look for `harness doctor`. The spread of a training is its blocks' to tell.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records.process import Clock
from harness.spec.timing import Timing

WINDOWS, SECONDS = 16, 0.25
# "No practical difference" is two one-sided tests against the margin at each of three looks (docs/measuring.md, "How
# blocks are judged"); where there is no difference, both are to succeed in nine of ten.
ALPHA, POWER = 0.04 / 3, 0.9
MOST_BLOCKS = 1000
# Of the seconds that were watched, how many a limit of stolen time should let pass; and the largest one worth setting.
KEPT, MOST_STOLEN = 0.9, 0.20


@dataclass(frozen=True)
class Noise:
    """rates: calls per second of each window. spread: standard deviation of log(A / B) of neighbours. stolen: of each
    second of this work on one core, the share that the host of a virtual machine took; () where it is not told."""

    rates: tuple[float, ...]
    spread: float
    stolen: tuple[float, ...] = ()

    def blocks(self, margin: float) -> int:
        return blocks_needed(self.spread, margin)

    def steal_share(self) -> float | None:
        """What `timing.steal_share` would keep nine of ten such seconds, in whole percent and not below the default;
        None where nothing is known, or so much is stolen that no limit helps."""
        if not self.stolen:
            return None
        wanted = math.ceil(100 * float(np.quantile(self.stolen, KEPT)) - 1e-9) / 100
        found = max(wanted, Timing().steal_share)
        return found if found <= MOST_STOLEN else None


def same_work(size: int = 384) -> Callable[[], object]:
    """A matrix product and a pass over memory: what a training asks of a core, in small."""
    draw = np.random.default_rng(0)
    matrix = draw.standard_normal((size, size)).astype(np.float32)
    vector = draw.standard_normal(1 << 20).astype(np.float32)
    result, other = np.empty_like(matrix), np.empty_like(vector)

    def work() -> None:
        np.matmul(matrix, matrix, out=result)
        np.multiply(vector, 0.5, out=other)

    return work


def measure_noise(
    work: Callable[[], object], *, windows: int = WINDOWS, seconds: float = SECONDS, clock: Clock = time.perf_counter,
    stolen: Callable[[], float | None] = lambda: None,
) -> Noise:
    """Windows of so many seconds of the same work, A and B in turn, the first window thrown away. stolen: the seconds
    that the host of a virtual machine took so far."""
    rates, readings = [], []
    for _ in range(windows + 1):
        readings.append((clock(), stolen()))
        count, began = 0, clock()
        while (spent := clock() - began) < seconds:
            work()
            count += 1
        rates.append(count / spent)
    readings.append((clock(), stolen()))
    return Noise(tuple(rates[1:]), pair_spread(rates[1:]), stolen_shares(readings))


def stolen_shares(readings: Sequence[tuple[float, float | None]], seconds: float = 1.0) -> tuple[float, ...]:
    """Of readings of (clock, seconds stolen so far), the share of each stretch of a second or a little more: the
    counter ticks every 10 ms, so that a share of less than that says little."""
    shares = []
    start, before = readings[0]
    for now, taken in readings[1:]:
        if before is None or taken is None:
            return ()
        if now - start >= seconds - 1e-9:
            shares.append((taken - before) / (now - start))
            start, before = now, taken
    return tuple(shares)


def pair_spread(rates: Sequence[float]) -> float:
    """The standard deviation of log(A / B) over pairs of neighbouring windows, in the order ABBA."""
    pairs = zip(rates[::2], rates[1::2], strict=False)
    ratios = [math.log(a / b) * (1 if number % 2 == 0 else -1) for number, (a, b) in enumerate(pairs)]
    return statistics.stdev(ratios) if len(ratios) > 1 else 0.0


def blocks_needed(spread: float, margin: float) -> int:
    """The least number of blocks after which equal work is mostly called equal, at that margin; about as many call a
    difference of twice the margin. MOST_BLOCKS stands for more."""
    from scipy import stats

    counts = np.arange(2, MOST_BLOCKS)
    needed = stats.t.ppf(1 - ALPHA, counts - 1) + stats.t.ppf((1 + POWER) / 2, counts - 1)
    enough = counts[needed * spread / np.sqrt(counts) <= math.log1p(margin)]
    return int(enough[0]) if len(enough) else MOST_BLOCKS
