""""Same training?": a certificate as what a page prints, on its own and as a part of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.analysis.verdict import Verdict
from harness.certify import wording
from harness.certify.certificate import Certificate, Curve, Phase
from harness.report.tables import Table
from harness.report.trajectory_figure import trajectory_figure
from harness.report.wording import shown

CAPTION = (
    "Relative L2 distance between the two frameworks after each step, over the band of how far one framework goes from "
    "itself when rounding is disturbed (controls). Inside the limit the two are no further apart than noise alone "
    "would make one of them from itself. A distance of exactly 0 lies at the bottom of the logarithmic scale."
)


@dataclass(frozen=True)
class Drawing:
    """title, one sentence, the picture (inline SVG), and the table behind it."""

    title: str
    caption: str
    svg: str
    table: Table


@dataclass(frozen=True)
class PhaseView:
    """One phase: the ladder, the error per layer, D(t), what the curves and the three signs say."""

    name: str
    ladder: Table
    layers: Table | None
    drawing: Drawing | None
    lines: list[str]
    signs: list[str]


@dataclass(frozen=True)
class CertificateView:
    """A certificate, or why there is none (then `phases` is empty). finding, subject: (word, text)."""

    title: str
    label: str
    sentence: str
    certified: bool
    phases: list[PhaseView] = field(default_factory=list)
    finding: list[tuple[str, str]] = field(default_factory=list)
    suspects: Table | None = None
    subject: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def view(certificate: Certificate, title: str, runs: str | None = None, *, briefly: bool = False) -> CertificateView:
    """The certificate for a page. runs: the sentence of R5. briefly: of the curves only the weights' in exact
    arithmetic and in the program that is timed, for a page of many certificates."""
    found = certificate.finding
    suspects = None
    if found is not None and found.suspects:
        header, rows = wording.suspects(found, certificate.backends)
        suspects = _table("Arguments worth comparing", "", header, rows)
    cost = wording.cost(certificate)
    return CertificateView(
        shown(title), certificate.label, shown(certificate.sentence), certificate.certified,
        [_phase(phase, runs, briefly) for phase in certificate.phases],
        [] if found is None else _words(wording.finding(found)), suspects, _words(wording.subject(certificate)),
        [shown(note) for note in ([cost] if cost else []) + list(certificate.notes)])


def views(
    verdict: Verdict, certificates: Mapping[str, Mapping[str, Any]], notes: list[str], most: int | None = None,
) -> list[CertificateView]:
    """One for every comparison that has runs in both frameworks, of the first `most` of them. What cannot be read is
    said in `notes`."""
    found = []
    for comparison in [comparison for comparison in verdict.comparisons if comparison.seeds][:most]:
        proof, title = comparison.certification, comparison.setting.title
        runs = proof.whole_runs.sentence if proof.whole_runs is not None else None
        made = None
        if proof.keys:
            try:
                made = view(Certificate.from_data(certificates[proof.keys[0]]), title, runs, briefly=True)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                notes.append(f"certificate {proof.keys[0]}: not readable in full ({type(error).__name__}: {error}).")
        if made is None:
            made = CertificateView(shown(title), "", "", False, notes=[] if runs is None else [shown(f"R5: {runs}")])
        # What decides is the certification: R5 may have lifted the label.
        found.append(_labelled(made, proof.label, proof.sentence, proof.certified))
    return found


def _labelled(made: CertificateView, label: str, sentence: str, certified: bool) -> CertificateView:
    return CertificateView(made.title, label, shown(sentence), certified, made.phases, made.finding, made.suspects,
                           made.subject, made.notes)


def _phase(phase: Phase, runs: str | None, briefly: bool) -> PhaseView:
    layers = wording.layers(phase)
    curves = [curve for curve in phase.curves if curve.steps]
    if briefly:
        weights = [curve for curve in curves if curve.quantity == "weights"]
        curves = weights if len(weights) < 2 else [weights[0], weights[-1]]
    lines = [*(wording.trajectory(curve) for curve in curves), *wording.horizons(phase)]
    return PhaseView(
        shown(phase.name),
        _table(f"Ladder, phase {phase.name}", "Every rung, how many figures it compared, and the one nearest to, or "
               "furthest beyond, its limit.", wording.LADDER, wording.ladder(phase, runs)),
        None if layers is None else _table(
            "Error per layer", "Each layer fed the same recorded tensors and gradients in both frameworks: largest "
            "relative difference.", *layers),
        None if not curves else Drawing(
            shown(f"D(t), phase {phase.name}"), CAPTION, trajectory_figure(curves), _curve_table(curves)),
        [shown(line) for line in lines], [shown(sign) for sign in phase.signs])


def _curve_table(curves: Sequence[Curve]) -> Table:
    rows = []
    for curve in curves:
        for index, step in enumerate(curve.steps):
            controls = [values[index] for values in curve.controls.values() if index < len(values)]
            rows.append((curve.quantity, f"{curve.dtype}, {curve.program}", str(step), *(
                wording.size(value) for value in (
                    _at(curve.between, index), max(controls, default=None), _at(curve.limit, index),
                    _at(curve.seeds, index)))))
    header = ("of", "program", "steps", "D(t)", "largest control", "limit", "another seed")
    return _table("The numbers", "", header, rows)


def _at(values: Sequence[float], index: int) -> float | None:
    return values[index] if index < len(values) else None


def _words(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(shown(word), shown(text)) for word, text in rows]


def _table(title: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    cells = [[shown(cell) for cell in row] for row in rows]
    return Table(shown(title), caption, [shown(name) for name in header], cells)
