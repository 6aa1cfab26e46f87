"""How far two trainings that were played step by step are apart, by weights and by loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.certify.samples import Distance, Trajectory
from harness.spec.execution import MIXED

WEIGHTS, STATISTICS, LOSS = "weights", "moving statistics", "loss"
# What D(t) may reach in any case: what R1's and R2's limits let one step differ by, over a hundred steps.
FLOORS = {"float64": 1e-11, **dict.fromkeys(("float32", *MIXED), 1e-5)}
# The controls that are rounding and nothing else; the others are another order of sums, or another program.
ROUNDING = "one ulp"
# One of the others that goes this much further than all of rounding is no control: the model looks at the order of the
# rows, or the program has a mistake of its own, which may not excuse another.
UNUSABLE = 100.0


@dataclass(frozen=True)
class Pair:
    """Both trainings of one plan, the reference first. rounds_in_float32: a layer computes in float32 always."""

    reference: Trajectory
    other: Trajectory
    rounds_in_float32: bool = False

    @property
    def sides(self) -> tuple[Trajectory, Trajectory]:
        return self.reference, self.other

    @property
    def floor(self) -> float:
        """The least limit of any D(t)."""
        return FLOORS["float32" if self.rounds_in_float32 else self.reference.dtype]

    @property
    def controls(self) -> list[tuple[Trajectory, str, Distance]]:
        """(a backend's training, a control's name, how far it went), without those that are none."""
        return [(side, f"{side.backend}, {name}", distance) for side in self.sides
                for name, distance in side.controls.items() if self._is_rounding(side, name, distance)]

    @property
    def unusable(self) -> list[str]:
        """The controls that were left out."""
        used = {name for _, name, _ in self.controls}
        return [name for side in self.sides for own in side.controls if (name := f"{side.backend}, {own}") not in used]

    def _is_rounding(self, side: Trajectory, name: str, distance: Distance) -> bool:
        rounding = [item for own, item in side.controls.items() if own.startswith(ROUNDING)]
        if name.startswith(ROUNDING) or not rounding:
            return True
        norms = np.sqrt(norms_of(side.weights).sum(1))
        with np.errstate(all="ignore"):
            furthest = np.max([np.nan_to_num(np.sqrt(item.squares.sum(1)), nan=np.inf) for item in rounding], axis=0)
            allowed = UNUSABLE * np.maximum.accumulate(furthest) + self.floor * norms
            losses = loss_distance(distance.losses, side.losses)
            return bool((np.sqrt(distance.squares.sum(1)) <= allowed).all() and losses[0] <= UNUSABLE * self.floor)

    @property
    def groups(self) -> dict[str, list[int]]:
        """Quantity -> positions of its weights. Of those that no optimizer moves, what no step moved is left out."""
        reference, other = self.sides
        updated = reference.updated | other.updated
        return {
            WEIGHTS: [index for index, name in enumerate(reference.names) if name in updated],
            STATISTICS: [index for index, name in enumerate(reference.names) if name not in updated
                         and any((side.weights[index] != side.weights[index][:1]).any() for side in self.sides)],
        }


def squares_between(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> np.ndarray:
    """float64 [moments, weights]: sums of squared differences; NaN or infinite where one of them is."""
    with np.errstate(all="ignore"):
        return np.stack([np.sum(np.where(a == b, 0.0, np.square(a.astype(np.float64) - b)), axis=1)
                         for a, b in zip(ours, theirs, strict=True)], axis=1)


def norms_of(weights: Sequence[np.ndarray]) -> np.ndarray:
    """float64 [moments, weights]: sums of squares."""
    with np.errstate(all="ignore"):
        return np.stack([np.sum(np.square(array.astype(np.float64)), axis=1) for array in weights], axis=1)


def relative(squares: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """The relative L2 distance, from sums of squares."""
    with np.errstate(all="ignore"):
        return np.where(squares == 0, 0.0, np.sqrt(squares / norms))


def distance_again(again: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> float:
    """The relative L2 distance over all weights of one moment that was played twice; arrays of numbers, by weight. What
    is not a number in the same places both times is the same: a training that breaks does so again."""
    counts = [~(np.isnan(one) & np.isnan(other)) for one, other in zip(again, before, strict=True)]
    ours = [array[None, kept] for array, kept in zip(again, counts, strict=True)]
    theirs = [array[None, kept] for array, kept in zip(before, counts, strict=True)]
    return float(relative(squares_between(ours, theirs).sum(1), norms_of(theirs).sum(1))[0])


def loss_distance(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Float64 [steps], by the root mean square of the losses so far: one that passes through 0 has no relative
    difference."""
    with np.errstate(all="ignore"):
        scale = np.sqrt(np.cumsum(np.square(theirs)) / np.arange(1, len(theirs) + 1))
        return np.where(ours == theirs, 0.0, np.abs(ours - theirs) / scale)


@dataclass(frozen=True)
class NotFinite:
    """A training that became NaN or infinite. step: the first at which it did; both: whether both did, alike."""

    sentence: str
    step: int
    quantity: str
    weight: str | None
    both: bool


def not_finite(pair: Pair) -> NotFinite | None:
    """Whether one of them, or both, become NaN or infinite. What is so before the first step counts as step 1."""
    found = [_first_not_finite(side) for side in pair.sides]
    known = [item for item in found if item is not None]
    if not known:
        return None
    step, late, weight = min(known, key=lambda item: item[:2])
    quantity = WEIGHTS if late else LOSS
    if found[0] == found[1]:
        verb = "are" if late else "is"
        return NotFinite(f"the {quantity} {verb} NaN in both from step {step}", step, quantity, weight, True)
    theirs, ours = pair.sides if found[0] == (step, late, weight) else pair.sides[::-1]
    where = f" {weight}" if weight else ""
    return NotFinite(f"{quantity}{where} NaN in {theirs.backend} from step {step}, not in {ours.backend}", step,
                     quantity, weight, False)


def _first_not_finite(side: Trajectory) -> tuple[int, int, str | None] | None:
    """(step, 0 for its loss or 1 for the weights after it, the weight)."""
    found: list[tuple[int, int, str | None]] = []
    bad = ~np.isfinite(side.losses)
    if bad.any():
        found.append((int(np.argmax(bad)) + 1, 0, None))
    for name, array in zip(side.names, side.weights, strict=True):
        bad = ~np.isfinite(array).all(axis=1)
        if bad.any():
            found.append((max(int(np.argmax(bad)), 1), 1, name))
    return min(found, key=lambda item: item[:2], default=None)


def floats(values: Any) -> tuple[float, ...]:
    """Python's own numbers."""
    return tuple(float(value) for value in values)
