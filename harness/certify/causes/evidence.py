"""What signatures look at, and the few comparisons that most of them are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.certify.certificate import Finding
from harness.certify.rungs import Arrays, Pair
from harness.plan.plan import Plan
from harness.spec.model import Node

# Of a fit: a mistake explains the deviant side's numbers, rounding aside.
CLOSE = 1e-6
TITLES = {"tensorflow": "Keras", "pytorch": "PyTorch"}


@dataclass(frozen=True)
class Evidence:
    """finding: where the trainings part. steps: the arrays of the whole step, forced: those of every call by itself
    (rungs.py); None where they were not made."""

    plan: Plan
    finding: Finding
    steps: Pair | None
    forced: Pair | None

    @property
    def layer(self) -> Any:
        """The spec's layer of the finding. Raises KeyError where it is no layer's."""
        return self.plan.spec.layers[self.finding.layer or ""]

    @property
    def node(self) -> Node:
        """The first call of that layer."""
        return self.plan.spec.first_calls[self.finding.layer or ""]

    def inputs(self) -> list[np.ndarray]:
        """What the call was given in training, in both (R1 feeds the reference's tensors)."""
        assert self.steps is not None
        reference = self.steps.reference
        return [np.asarray(reference.get(f"forward {name}", reference.get(f"data x {name}")), np.float64)
                for name in self.node.inputs]

    def weight(self, role: str) -> np.ndarray:
        """The layer's weight before the step."""
        assert self.steps is not None
        return np.asarray(self.steps.reference[f"start {self.finding.layer}/{role}"], np.float64)

    def sides(self, forced: bool = False) -> Iterator[tuple[str, Arrays, Arrays]]:
        """(the deviant side's title, its arrays, the sound side's): either may be the one that deviates."""
        pair = self.forced if forced else self.steps
        if pair is not None:
            yield TITLES["pytorch"], pair.other, pair.reference
            yield TITLES["tensorflow"], pair.reference, pair.other


def outputs_of(evidence: Evidence, kind: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(the deviant side's title, its output, the sound side's), of the layer's first call, both ways round."""
    name = f"{kind} {evidence.node.name}"
    return [(title, np.asarray(deviant[name], np.float64), np.asarray(sound[name], np.float64))
            for title, deviant, sound in evidence.sides(forced=True) if name in deviant and name in sound]


@dataclass(frozen=True)
class Cause:
    """cause: what is different, in one sentence. mend: what to change."""

    cause: str
    mend: str


Signature = Callable[[Evidence], Cause | None]


def close(a: Any, b: Any, tolerance: float = CLOSE) -> bool:
    """Whether two arrays of one shape are the same numbers, relative to the largest."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        return False
    scale = float(np.max(np.abs(b), initial=0.0))
    return bool(np.max(np.abs(a - b), initial=0.0) <= tolerance * scale) and scale > 0


def factor(a: Any, b: Any, tolerance: float = CLOSE) -> float | None:
    """c where a = c b throughout and c is not 1; None where there is no such number."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or not b.any() or not np.isfinite(a).all():
        return None
    c = float(np.vdot(a, b) / np.vdot(b, b))
    return c if c and abs(c - 1) > tolerance and close(a, c * b, tolerance) else None


def common_factor(pairs: list[tuple[np.ndarray, np.ndarray]], tolerance: float = CLOSE) -> float | None:
    """The same factor for all pairs of arrays."""
    found = [factor(a, b, tolerance) for a, b in pairs if np.any(b)]
    if not found or any(c is None for c in found):
        return None
    values = np.array(found, np.float64)
    return float(values[0]) if np.ptp(values) <= tolerance * abs(values[0]) else None


def number(value: float) -> str:
    """A setting as people write it."""
    return f"{value:.4g}"
