"""Whether a cell trained the same in both sets of results: data, plan, first loss, every loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.analysis.curves import largest_distance, loss_distance
from harness.analysis.regression_matching import Match
from harness.errors import SpecError
from harness.records.record import Record
from harness.spec.execution import Execution

# How far apart the first losses of one spec may be, relative: the same weights and the same batch, so only the rounding
# of one forward pass. Sound pairs of frameworks stay far below (docs/certificate.md).
FIRST_LOSS = {"float64": 1e-9, "float32": 1e-4}
HALF = 5e-2


@dataclass(frozen=True)
class Sameness:
    """One cell and backend. problems: what was not the same and should have been, in words. exact: every loss of every
    common seed is the same to the bit. distance: the largest relative distance of two losses, with its step (from 0)
    and seed; None without common steps."""

    title: str
    backend: str
    seeds: tuple[int, ...]
    exact: bool
    distance: float | None
    step: int | None
    seed: int | None
    problems: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        if self.problems:
            return "; ".join(self.problems)
        if self.exact:
            return "every loss is the same to the bit"
        if self.distance is None:
            return "no common steps"
        return f"largest relative loss distance {self.distance:.2g}, at step {(self.step or 0) + 1}, seed {self.seed}"

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "sentence": self.sentence}


def sameness(match: Match, backend: str, pairs: Sequence[tuple[Record, Record]]) -> Sameness:
    """pairs: the runs of one seed in both sets, at least one."""
    problems = dict[str, None]()
    for x, y in pairs:
        for part, key, word in (("data", "fingerprint", "data"), ("plan", "digest", "plan")):
            ours, theirs = ((record.data.get(part) or {}).get(key) for record in (x, y))
            # Early stopping at another epoch changes the plans of later phases.
            if None not in (ours, theirs) and ours != theirs and (part == "data" or len(x.losses) == len(y.losses)):
                problems[f"the {word} of seed {x.seed} differ" if part == "data" else
                         f"the plans of seed {x.seed} differ"] = None
        if not problems and (said := _first_loss(x, y)):
            problems[said] = None
    distance = largest_distance(pairs)
    exact = all(len(x.losses) and np.array_equal(x.losses, y.losses, equal_nan=True) for x, y in pairs)
    return Sameness(match.title, backend, tuple(int(x.seed or 0) for x, _ in pairs), exact,
                    distance.relative if distance else None, distance.step if distance else None,
                    distance.seed if distance else None, tuple(problems))


def _first_loss(x: Record, y: Record) -> str | None:
    """What is said of first losses that rounding does not explain."""
    if not len(x.losses) or not len(y.losses):
        return None
    try:
        execution = Execution.parse(x.cell.get("execution"))
    except SpecError:
        return None
    if not execution.uses_tape:
        return None  # each run draws its own dropout
    limit = FIRST_LOSS.get(execution.precision, HALF)
    first = [Record(record.data, memory_series={"loss": record.losses[:1]}) for record in (x, y)]
    distance = loss_distance(*first)
    if distance is None or distance.relative <= limit:
        return None
    return (f"the first losses of seed {x.seed} are {distance.relative:.2g} apart (relative), more than the rounding "
            f"of one pass ({limit:g})")
