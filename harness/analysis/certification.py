"""What is certified of a comparison: its certificates, and what whole runs over paired seeds add to them (R5).

Without a certificate that the two trainings are the same, a difference in speed or accuracy is no verdict on the
frameworks: the figures are shown, the verdict is withheld.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.whole_runs import PASSED, WholeRuns
from harness.records.certificates import (
    DIFFERENT,
    NOT_CERTIFIED,
    SAME_IN_DISTRIBUTION,
    SAME_TO_ROUNDING,
)
from harness.records.record import Record

Certificates = Mapping[str, Mapping[str, Any]]
BEFORE = "made before certificates"
NONE = "there is no certificate beside these runs"
# The first is what decides where the runs of a comparison have several certificates.
GRAVITY = (DIFFERENT, NOT_CERTIFIED, SAME_IN_DISTRIBUTION, SAME_TO_ROUNDING)
FRAMEWORKS = ("tensorflow", "keras", "torch")


@dataclass(frozen=True)
class Certification:
    """label: of measuring.md; sentence: the label with place, figures or reason. keys: of the certificates, the one
    that decided first. whole_runs: R5, None where nothing was run in both. horizon: T*, the fewest of all phases."""

    label: str
    sentence: str
    keys: tuple[str, ...] = ()
    whole_runs: WholeRuns | None = None
    horizon: int | None = None
    cautions: tuple[str, ...] = ()

    @property
    def certified(self) -> bool:
        """Whether a verdict may rest on it."""
        return self.label in (SAME_TO_ROUNDING, SAME_IN_DISTRIBUTION)

    def to_data(self) -> dict[str, Any]:
        return {"label": self.label, "sentence": self.sentence, "certified": self.certified,
                "certificate": self.keys[0] if self.keys else None, "certificates": list(self.keys),
                "horizon": self.horizon, "whole_runs": None if self.whole_runs is None else self.whole_runs.to_data()}


def certification(
    pairs: Sequence[tuple[Record, Record]], certificates: Certificates, runs: WholeRuns | None = None,
) -> Certification:
    """Of paired records. certificates: key -> certificate as plain data (`read_certificates`)."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in (record for pair in pairs for record in pair):
        key = record.certificate
        if key is None or key not in certificates:
            reason = BEFORE if key is None else NONE
            return Certification(NOT_CERTIFIED, f"{NOT_CERTIFIED}: {reason}", whole_runs=runs)
        found[key] = certificates[key]
    if not found:
        return Certification(NOT_CERTIFIED, f"{NOT_CERTIFIED}: {NONE}", whole_runs=runs)
    ordered = sorted(found, key=lambda key: GRAVITY.index(found[key]["label"]))
    worst = found[ordered[0]]
    label, sentence = str(worst["label"]), _sentence(worst)
    if label == NOT_CERTIFIED and runs is not None and runs.status == PASSED and not fails_exactly(worst):
        label, sentence = SAME_IN_DISTRIBUTION, f"{SAME_IN_DISTRIBUTION}: R5 {runs.sentence}"
    horizons = [horizon for key in ordered if (horizon := _horizon(found[key])) is not None]
    return Certification(label, sentence, tuple(ordered), runs, min(horizons, default=None), _versions(pairs, worst))


def _sentence(certificate: Mapping[str, Any]) -> str:
    label, reason = certificate["label"], certificate.get("reason")
    return str(certificate.get("sentence") or (f"{label}: {reason}" if reason else label))


def fails_exactly(certificate: Mapping[str, Any]) -> bool:
    """Whether a rung of exact arithmetic failed: paired seeds cannot make good for a difference in meaning."""
    return any(rung["name"] in ("R0", "R1", "R2") and rung["status"] == "failed"
               for phase in certificate["phases"] for rung in phase["rungs"])


def _horizon(certificate: Mapping[str, Any]) -> int | None:
    found = [curve.get("horizon") for phase in certificate["phases"] for curve in phase.get("curves") or ()
             if isinstance(curve, Mapping)]
    return min((int(horizon) for horizon in found if horizon is not None), default=None)


def _versions(pairs: Sequence[tuple[Record, Record]], certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Frameworks that were certified in another version than they ran in."""
    certified, found = certificate.get("versions") or {}, dict[str, None]()
    for record in (record for pair in pairs for record in pair):
        ran = record.environment.get("versions") or {}
        for name in FRAMEWORKS:
            if name in certified and name in ran and certified[name] != ran[name]:
                found[f"certified with {name} {certified[name]}, seed {record.seed} ran with {ran[name]}"] = None
    return tuple(found)
