"""Rung R5 for one certificate: whole runs of both backends over paired seeds, each in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.analysis.certification import fails_exactly
from harness.analysis.verdict import which
from harness.analysis.whole_runs import WholeRuns
from harness.certify.certificate import (
    FAILED,
    NOT_CERTIFIED,
    PASSED,
    SAME_IN_DISTRIBUTION,
    SKIPPED,
    Certificate,
    Difference,
    Rung,
)
from harness.runner.certificates import OnEvent
from harness.runner.driver import run


def with_whole_runs(
    certificate: Certificate, model: str, data: Any, seeds: int, folder: Path, on_event: OnEvent | None = None,
) -> Certificate:
    """The certificate with R5 on its last phase, of `seeds` paired runs whose records go to `folder`.

    model, data: as they were certified; recipe and execution are those of the certificate. R5 may lift "not certified"
    to "same in distribution", never "different". Raises SpecError for what cannot be run.
    """
    subject = certificate.subject
    if data is None and subject.get("data") != "digits":
        return _with(certificate, Rung("R5", SKIPPED, reason="the data was generated; name some to train on"))
    results = run({
        "name": "whole_runs", "model": model, "data": data or "digits", "recipe": subject["recipe"],
        "execution": subject["execution"], "seed": list(range(seeds)), "certify": False, "timing": False,
    }, folder, on_event=on_event)
    records = results.records()
    if any(record.cell["model"]["digest"] != subject["digest"] for record in records):
        return _with(certificate, Rung("R5", SKIPPED, reason="the runs trained another model than was certified"))
    found = [item.certification.whole_runs for item in which(records).comparisons]
    if len(found) != 1 or found[0] is None:
        return _with(certificate, Rung("R5", SKIPPED, reason="no seed was finished by both"))
    return judged(certificate, found[0])


def judged(certificate: Certificate, runs: WholeRuns) -> Certificate:
    """The certificate with what the whole runs showed."""
    status = {"passed": PASSED, "failed": FAILED}.get(runs.status, SKIPPED)
    largest = None if runs.largest is None else Difference("mean loss over paired seeds", runs.largest, runs.margin)
    reason = runs.sentence if status == PASSED else runs.reason
    rung = Rung("R5", status, len(runs.steps) + bool(runs.steps), largest, reason=reason, details=runs.to_data())
    made = _with(certificate, rung)
    data: Mapping[str, Any] = certificate.to_data()
    if certificate.label == NOT_CERTIFIED and status == PASSED and not fails_exactly(data):
        return replace(made, label=SAME_IN_DISTRIBUTION, reason=f"R5 {runs.sentence}")
    return made


def _with(certificate: Certificate, rung: Rung) -> Certificate:
    if not certificate.phases:
        return replace(certificate, notes=(*certificate.notes, f"R5 {rung.status}: {rung.reason}"))
    *others, last = certificate.phases
    return replace(certificate, phases=(*others, replace(last, rungs=(*last.rungs, rung))))
