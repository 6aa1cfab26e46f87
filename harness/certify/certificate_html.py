"""A certificate as a notebook shows it: the label, where the trainings part, the ladder of every phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.records.hypertext import grid, number, paragraph

if TYPE_CHECKING:
    from harness.certify.certificate import Certificate, Phase

HEADER = ("rung", "status", "compared", "nearest to its limit", "difference", "limit")


def certificate_html(certificate: Certificate) -> str:
    """HTML without script, style or outside address; D(t) is drawn by `Results.plot.certificate`."""
    found = certificate.finding
    about = " and ".join(certificate.backends)
    model = certificate.subject.get("model")
    lines = [paragraph(f"{model}, {about}" if model else about), paragraph(certificate.sentence, strong=True)]
    if found is not None:
        lines += [paragraph(found.mend or ""), grid("arguments worth comparing", ("",), [(s,) for s in found.suspects])]
    lines += [_ladder(phase) for phase in certificate.phases]
    lines += [paragraph(note) for note in certificate.notes]
    return f'<div class="harness-certificate">{"".join(lines)}</div>'


def _ladder(phase: Phase) -> str:
    from harness.certify.certificate import RUNGS

    rows = []
    for rung in phase.rungs:
        worst = rung.worst
        rows.append((f"{rung.name} {RUNGS.get(rung.name, '')}".strip(), rung.status, rung.checked,
                     rung.reason if worst is None else worst.what,
                     None if worst is None else number(worst.difference),
                     None if worst is None else number(worst.limit)))
    return grid(f"phase {phase.name}", HEADER, rows)
