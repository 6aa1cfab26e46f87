"""Certificate: what was found of two trainings of one plan, rung by rung, as plain data.

Rungs and thresholds: docs/certificate.md. A certificate holds figures, never arrays of weights; it is written beside
the cells that it covers and read back without a framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from harness.records.certificates import (
    DIFFERENT,
    NOT_CERTIFIED,
    SAME_IN_DISTRIBUTION,
    SAME_TO_ROUNDING,
    SCHEMA,
)

__all__ = ["DIFFERENT", "NOT_CERTIFIED", "SAME_IN_DISTRIBUTION", "SAME_TO_ROUNDING", "SCHEMA", "Certificate", "Curve",
           "Difference", "Finding", "Phase", "Rung"]
PASSED, FAILED, SKIPPED = "passed", "failed", "not run"

RungName = Literal["R0", "R1", "R2", "R3", "R4", "R5"]
RUNGS: dict[str, str] = {
    "R0": "plan", "R1": "layer by layer, teacher-forced", "R2": "one whole step", "R3": "trajectory",
    "R4": "timed precision and program", "R5": "whole runs over paired seeds",
}


@dataclass(frozen=True)
class Difference:
    """One figure that was compared. what: "weight gradient conv/kernel". difference: relative (agreement.py).
    limit: where rounding ends; control: how far the same framework goes from itself, None where not measured."""

    what: str
    difference: float
    limit: float
    control: float | None = None

    @property
    def fails(self) -> bool:
        return not self.difference <= self.limit

    @property
    def nearness(self) -> float:
        """Which part of its limit the difference takes."""
        if self.limit:
            # As Python's numbers, whose quotient is infinite without a warning.
            return float(self.difference) / float(self.limit) if self.difference == self.difference else float("inf")
        return float("inf") if self.difference else 0.0


@dataclass(frozen=True)
class Finding:
    """Where two trainings part. part: "plan", "data", "random", "forward", "inference", "loss", "backward", "update",
    "buffer". layer, weight: None where the finding is not a layer's. cause, mend: plain language, None where no known
    signature fits. suspects: the arguments worth comparing, "name: value in A | value in B"."""

    rung: str
    phase: str
    step: int
    part: str
    layer: str | None
    weight: str | None
    what: str
    difference: float
    limit: float
    cause: str | None = None
    mend: str | None = None
    suspects: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """"step 1, backward, block3/bn, moving_variance". Steps count from 1."""
        parts = [f"step {self.step + 1}", self.part, self.layer, self.weight]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Rung:
    """status: "passed", "failed" or "not run" (then `reason` says why). checked: how many figures were compared;
    worst: the one nearest to, or furthest beyond, its limit. seconds: wall time."""

    name: str
    status: str
    checked: int = 0
    worst: Difference | None = None
    failed: tuple[Difference, ...] = ()
    reason: str | None = None
    seconds: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """D(t) of a trajectory: relative L2 distances after each of the steps, of weights or of the loss.

    steps: how many steps had been played. between: of the two backends. controls: name ("tensorflow, one ulp 1")
    -> distances of a framework from itself; limit: what D(t) may reach. seeds: between two seeds of one framework;
    horizon: T*, the first step at which the controls reach 1% of `seeds`, None if they do not.
    """

    quantity: str
    dtype: str
    program: str
    steps: tuple[int, ...]
    between: tuple[float, ...]
    controls: Mapping[str, tuple[float, ...]]
    limit: tuple[float, ...]
    seeds: tuple[float, ...] = ()
    horizon: int | None = None


@dataclass(frozen=True)
class Phase:
    """The ladder of one phase of the recipe."""

    name: str
    rungs: tuple[Rung, ...]
    curves: tuple[Curve, ...] = ()
    signs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """The proof that two trainings are the same, or where they part.

    subject: what it covers: model, digest, data, recipe, precision, programs, seed, steps. backends: the two that were
    compared, the reference first. cost: {"seconds", "training_step_seconds", "steps_worth"}. key: what finds it again.
    """

    label: str
    backends: tuple[str, str]
    subject: Mapping[str, Any]
    phases: tuple[Phase, ...]
    finding: Finding | None = None
    reason: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    key: str = ""
    schema: int = SCHEMA

    @property
    def certified(self) -> bool:
        """Whether a verdict may rest on it."""
        return self.label in (SAME_TO_ROUNDING, SAME_IN_DISTRIBUTION)

    @property
    def sentence(self) -> str:
        """The label with its place and figures, in one line."""
        if self.label == DIFFERENT and self.finding is not None:
            found = self.finding
            return (f"different: {found.place}: {found.difference:.2g} where rounding allows {found.limit:.1g}"
                    + (f" ({found.cause})" if found.cause else ""))
        return f"{self.label}: {self.reason}" if self.reason else self.label

    def _repr_html_(self) -> str:
        from harness.certify.certificate_html import certificate_html

        return certificate_html(self)

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON; "certified" and "sentence" are for readers that have only the data."""
        return {**asdict(self), "certified": self.certified, "sentence": self.sentence}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Certificate:
        """The inverse of `to_data`, through JSON too. Raises KeyError, TypeError or ValueError on what is none."""
        known = {item.name for item in fields(Certificate)}
        values = {name: value for name, value in data.items() if name in known}
        values["backends"] = tuple(values["backends"])
        values["phases"] = tuple(_phase(item) for item in values["phases"])
        values["finding"] = None if values.get("finding") is None else _finding(values["finding"])
        values["notes"] = tuple(values.get("notes", ()))
        values["cost"] = {name: _number(value) for name, value in values.get("cost", {}).items()}
        return Certificate(**values)


def _number(value: Any) -> Any:
    """Strict JSON writes what is not finite as "NaN", "Infinity" and "-Infinity"."""
    return float(value) if isinstance(value, str) else value


def _phase(data: Mapping[str, Any]) -> Phase:
    return Phase(data["name"], tuple(_rung(item) for item in data["rungs"]),
                 tuple(_curve(item) for item in data["curves"]), tuple(data["signs"]))


def _difference(data: Mapping[str, Any]) -> Difference:
    return Difference(data["what"], *(_number(data[name]) for name in ("difference", "limit", "control")))


def _rung(data: Mapping[str, Any]) -> Rung:
    values = dict(data)
    values["worst"] = None if values["worst"] is None else _difference(values["worst"])
    values["failed"] = tuple(_difference(item) for item in values["failed"])
    return Rung(**values)


def _curve(data: Mapping[str, Any]) -> Curve:
    values = dict(data)
    values["steps"] = tuple(values["steps"])
    for name in ("between", "limit", "seeds"):
        values[name] = tuple(_number(value) for value in values[name])
    values["controls"] = {name: tuple(_number(value) for value in curve) for name, curve in values["controls"].items()}
    return Curve(**values)


def _finding(data: Mapping[str, Any]) -> Finding:
    return Finding(**{**data, "difference": _number(data["difference"]), "limit": _number(data["limit"]),
                      "suspects": tuple(data["suspects"])})
