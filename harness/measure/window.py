"""A timed window: so many steps of a session's tape between two readings of the host's clock.

Before each reading stands the device's barrier. Inside there is nothing but calls that play steps: no loss is read, no
metric is computed, nothing is shown. The tape of a plan ends; a window that is longer plays it again from its
beginning.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from harness.backends.contract import Session
from harness.plan.plan import Plan
from harness.records.process import Clock
from harness.spec.layers.core import Embedding
from harness.spec.model import ModelSpec


@dataclass(frozen=True)
class Window:
    """What was played between two readings of the clock.

    start: the tape's position before its first step. samples: examples, partial batches counted as what they are.
    tokens: None where the model has no sequence of tokens. cpu_seconds: of this process, all its threads.
    sub_seconds: of its parts, which lie end to end: their sum is `seconds`.
    """

    start: int
    steps: int
    seconds: float
    samples: int
    tokens: int | None
    cpu_seconds: float
    sub_seconds: tuple[float, ...] = field(default=())

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "sub_seconds": list(self.sub_seconds)}


class Player:
    """A session, and how far on its tape it is. tokens: of one example, None where there are none."""

    def __init__(self, session: Session, plan: Plan, tokens: int | None = None, position: int = 0) -> None:
        self.session, self.tokens = session, tokens
        self.sizes = plan.tape.sizes
        self.position = position
        self._before = np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self.sizes)

    def calls(self, steps: int) -> list[tuple[int, int]]:
        """The stretches [start, stop) of the tape that the next steps are, as few as can be."""
        found, at = [], self.position
        while steps:
            stop = min(len(self), at + steps)
            found.append((at, stop))
            steps -= stop - at
            at = stop % len(self)
        return found

    def samples(self, calls: list[tuple[int, int]]) -> int:
        """The examples in those stretches."""
        return int(sum(self._before[stop] - self._before[start] for start, stop in calls))

    def play(self, steps: int) -> list[tuple[int, int]]:
        """Plays the next steps; returns their calls when they are asked for, not when they are done."""
        calls = self.calls(steps)
        for start, stop in calls:
            self.session.train(start, stop)
        self.position = (self.position + steps) % len(self)
        return calls


def play_window(
    player: Player, steps: int, clock: Clock = time.perf_counter, *, parts: int = 1, least_seconds: float = 0.0,
    cpu_clock: Clock = time.process_time,
) -> Window:
    """Plays the next `steps` in `parts` nearly equal parts, and more parts like the last until least_seconds are over.

    A part ends with the barrier and a reading of the clock, which begins the next: where a part takes half a second,
    a barrier of some microseconds inside of the window does not count.
    """
    start, played, length = player.position, 0, steps
    calls: list[tuple[int, int]] = []
    lengths = [len(part) for part in np.array_split(np.arange(steps), min(parts, steps))]
    player.session.wait()
    cpu_began, readings = cpu_clock(), [clock()]
    while lengths or readings[-1] - readings[0] < least_seconds:
        length = lengths.pop(0) if lengths else length
        calls += player.play(length)
        player.session.wait()
        readings.append(clock())
        played += length
    cpu_seconds = cpu_clock() - cpu_began
    samples = player.samples(calls)
    return Window(
        start, played, readings[-1] - readings[0], samples, None if player.tokens is None else samples * player.tokens,
        cpu_seconds, tuple(np.diff(readings).tolist()),
    )


def tokens_of(spec: ModelSpec, x: Mapping[str, np.ndarray]) -> int | None:
    """Tokens of one example: the length of the first input that is a sequence of integers (or feeds an embedding),
    None where no input is one. A padded place counts as a token: both frameworks compute it."""
    fed = {reference for node in spec.nodes for reference in node.inputs
           if isinstance(spec.layers[node.layer], Embedding)}
    for item in spec.inputs:
        integers = item.dtype.startswith(("int", "uint")) or item.name in fed
        if integers and x[item.name].ndim == 2 and x[item.name].shape[1] > 1:
            return int(x[item.name].shape[1])
    return None
