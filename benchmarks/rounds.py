"""Rounds: every contender trains once in each, in an order in which none is favoured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# A window is not longer than so many epochs, however short they are.
MOST_EPOCHS = 10_000


@dataclass(frozen=True)
class Window:
    """One contender in one round. cpu: seconds of its process, all threads; wall: of the clock. examples: trained."""

    cpu: float
    wall: float
    examples: int


class Player(Protocol):
    """A contender that is warm. epoch_seconds: of the clock, for one steady epoch."""

    epoch_seconds: float

    def play(self, epochs: int) -> Window: ...


def order(names: Sequence[str], number: int) -> list[str]:
    """Who comes when in round `number` (from 0): rotated by one every second round, and every second round backwards.

    Over 2 n rounds each of n contenders stands at each place twice, and each stands before each other in half of them.
    """
    turned = number // 2 % len(names)
    rotated = [*names[turned:], *names[:turned]]
    return rotated[::-1] if number % 2 else rotated


def epochs_for(epoch_seconds: float, window_seconds: float) -> int:
    """The epochs of a window: as many as take window_seconds, one at least."""
    return min(MOST_EPOCHS, max(1, math.ceil(window_seconds / max(epoch_seconds, 1e-9))))


@dataclass
class Times:
    """Seconds per example, round by round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, window: Window) -> None:
        self.cpu.append(window.cpu / window.examples)
        self.wall.append(window.wall / window.examples)


def play_rounds(
    players: Mapping[str, Player], rounds: int, window_seconds: float,
    lost: Callable[[str, Exception], None], settling: int = 1,
) -> dict[str, Times]:
    """`rounds` rounds, after `settling` ones that do not count. A contender that fails on the way leaves; `lost` hears
    of it, and it has no times."""
    times = {name: Times() for name in players}
    epochs = {name: epochs_for(player.epoch_seconds, window_seconds) for name, player in players.items()}
    for number in range(-settling, rounds):
        for name in order(list(players), number + settling):
            if name not in times:
                continue
            try:
                window = players[name].play(epochs[name])
            except Exception as error:
                del times[name]
                lost(name, error)
                continue
            if number >= 0:
                times[name].add(window)
    return times
