"""The looks at whole trainings: at which numbers of paired seeds they are judged, and what an early look costs.

Whoever adds seeds until something is shown errs more often than the level of one test says. So every judgement on whole
trainings is made at planned numbers of pairs alone, each at an equal share of ALPHA (Bonferroni); between two looks the
last one stands. The error holds for any rule of stopping at a look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

LOOKS = (5, 10, 20)
ALPHA = 0.05


@dataclass(frozen=True)
class SeedLooks:
    """Where so many pairs stand. used: those of the last look (all of them before the first one). look: looks reached,
    0 before the first. following: the pairs of the next look. looks: the planned ones."""

    n: int
    used: int
    look: int
    following: int
    looks: tuple[int, ...] = LOOKS

    @property
    def planned(self) -> int:
        return len(self.looks)

    @property
    def alpha(self) -> float:
        """What one look may err."""
        return ALPHA / self.planned

    @property
    def so_far(self) -> str:
        """What stands before evidence that decides nothing."""
        if not self.look:
            return f"interim, {self.n} of the first look at {self.following} seeds: "
        return f"interim, {self.n} seeds of the next look at {self.following}: " if self.n > self.used else "so far "

    @property
    def name(self) -> str:
        """ "look 1 of 3"; "" before the first, and where there is one only."""
        if not self.look or self.planned < 2:
            return ""
        return (f"look {self.look} of {self.planned}" if self.look <= self.planned
                else f"look {self.look}, {self.planned} were planned")

    def remarks(self, decided: bool) -> list[str]:
        """What is said besides: seeds since the last look, what further looks cost."""
        said = []
        if decided and self.n > self.used:
            said.append(f"interim: {self.n} seeds of the next look at {self.following}")
        if self.look > self.planned:
            said.append(f"with {self.look} looks the probability of a false claim sums to "
                        f"{self.alpha * self.look:.1%}")
        return said


def all_looks(looks: Sequence[int] = LOOKS) -> Iterator[int]:
    """The planned looks, then each at twice the seeds of the one before."""
    yield from looks
    yield from (looks[-1] * 2**step for step in count(1))


def looks_at(n: int, looks: Sequence[int] = LOOKS) -> SeedLooks:
    """Where n pairs stand."""
    reached = list(takewhile(lambda look: look <= n, all_looks(looks)))
    following = next(look for look in all_looks(looks) if look > n)
    return SeedLooks(n, reached[-1] if reached else n, len(reached), following, tuple(looks))
