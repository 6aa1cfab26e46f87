"""What starting up costs: who finishes first when compilation is counted, and from how many examples on the
one that is faster in the long run is ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.blocks import PairedBlocks
from harness.analysis.half_metrics import metric_value
from harness.analysis.resampling import RESAMPLES, SEED, percentile_interval
from harness.analysis.settings import backend_title
from harness.analysis.statistics import CONFIDENCE, Figure, student_interval
from harness.records.record import Record


@dataclass(frozen=True)
class StartUp:
    """Means over paired seeds. fast: the backend with more examples per second after warm-up; slow: the other.

    seconds: backend -> seconds of all training windows, warm-up included. break_even: examples after which
    `fast` is ahead although it starts later; 0 where it starts no later.
    """

    fast: str
    slow: str
    seconds: dict[str, float]
    break_even: int
    n: int

    @property
    def reverses(self) -> bool:
        """Whether the one that is slower in the long run finished these trainings first."""
        return self.seconds[self.slow] < self.seconds[self.fast]

    @property
    def sentence(self) -> str:
        """What to say beside the speed after warm-up; only where compilation turned it around."""
        return (
            f"compilation included, {backend_title(self.slow)} finished these trainings first "
            f"({self.seconds[self.slow]:.3g} s against {self.seconds[self.fast]:.3g} s; {backend_title(self.fast)} is "
            f"ahead from about {self.break_even:,} examples on)"
        )


def start_up(pairs: Sequence[tuple[Record, Record]]) -> StartUp | None:
    """From paired records of two backends; None where their training windows were not measured."""
    rates: dict[str, list[float]] = {}
    spent: dict[str, list[float]] = {}
    warm: dict[str, list[float]] = {}
    for pair in pairs:
        if any(record.samples_per_second is None or record.train_seconds is None for record in pair):
            continue
        for record in pair:
            assert record.samples_per_second is not None
            assert record.train_seconds is not None
            rates.setdefault(record.backend, []).append(record.samples_per_second)
            spent.setdefault(record.backend, []).append(record.train_seconds)
            warm.setdefault(record.backend, []).append(_warm_up(record))
    if len(rates) != 2:
        return None
    slow, fast = sorted(rates, key=lambda backend: float(np.mean(rates[backend])))
    later = float(np.mean(warm[fast]) - np.mean(warm[slow]))
    gain = 1 / float(np.mean(rates[slow])) - 1 / float(np.mean(rates[fast]))
    examples = 0 if later <= 0 else round(later / gain) if gain > 0 else 0
    return StartUp(fast, slow, {name: float(np.mean(values)) for name, values in spent.items()},
                   _two_digits(examples), len(rates[fast]))


def break_even_steps(blocks: PairedBlocks) -> tuple[str, Figure] | None:
    """(backend, steps): the one with the shorter steps, and after how many it has made good what its first steps took
    longer to trace and compile; 0 where they took no longer. None below two blocks, and where the interval of the
    steps' lengths leaves open whose are shorter.
    """
    steps, compiled = (
        np.asarray([(x, y) for x, y in (
            [metric_value(block.halves[name], metric) for name in (blocks.a, blocks.b)] for block in blocks.done)
            if x is not None and y is not None], dtype=np.float64).reshape(-1, 2)
        for metric in ("step_seconds", "compile_seconds"))
    # Not every block need have compiled anew (timing.cold_blocks); every one has the length of a step.
    if min(len(steps), len(compiled)) < 2:
        return None
    _, low, high = student_interval(steps[:, 0] - steps[:, 1])
    if low is None or high is None or low <= 0 <= high:
        return None
    fast = 1 if low > 0 else 0
    later, gain = compiled[:, fast] - compiled[:, 1 - fast], steps[:, 1 - fast] - steps[:, fast]
    chance = np.random.default_rng(SEED)
    laters, gains = (values[chance.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
                     for values in (later, gain))
    # A resample whose steps are no shorter never catches up.
    found = np.where(laters <= 0, 0.0, np.where(gains > 0, laters / np.where(gains > 0, gains, 1.0), np.inf))
    ends = percentile_interval(found, CONFIDENCE, len(later) - 1)
    value = max(0.0, float(later.mean() / gain.mean()))
    method = f"extra compilation over gain per step, bootstrap over blocks, {CONFIDENCE:.0%} interval"
    return (blocks.a, blocks.b)[fast], Figure(value, ends[0], ends[1], len(later), "steps", method)


def _warm_up(record: Record) -> float:
    """Seconds of the windows in which something was compiled or first allocated."""
    return sum(float(window["seconds"]) for phase in record.phases for window in phase.get("windows", [])
               if window.get("warmup"))


def _two_digits(number: int) -> int:
    """Rounded to two significant digits: it is an estimate."""
    digits = len(str(number)) - 2
    return round(number, -digits) if digits > 0 else number
