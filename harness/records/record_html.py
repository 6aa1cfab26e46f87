"""A record as a notebook shows it: what was run, how it ended, its final metrics and phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.records.hypertext import grid, number, paragraph

if TYPE_CHECKING:
    from harness.records.record import Record


def record_html(record: Record) -> str:
    """HTML without script, style or outside address."""
    cell, model = record.cell, record.cell.get("model") or {}
    execution = cell.get("execution") or {}
    title = ", ".join(str(part) for part in (
        model.get("name"), record.backend, execution.get("tier"), execution.get("precision"), f"seed {record.seed}",
        record.status) if part is not None)
    reason = record.reason or {}
    ending = f"{reason.get('kind')}: {reason.get('message')}" if reason else ""
    metrics = [(name, number(value)) for name, value in record.metrics.items()]
    speed = record.samples_per_second
    figures = [("samples per second, observed", number(speed)), ("seconds of training", number(record.train_seconds))]
    phases = [(phase.get("name"), len(phase.get("epochs") or []), number(phase.get("samples")), phase.get("program"))
              for phase in record.phases]
    machine = record.environment.get("machine")
    return "".join([
        '<div class="harness-record">', paragraph(title, strong=True), paragraph(ending) if ending else "",
        grid("final metrics", ("metric", "value"), metrics),
        grid("times", ("", ""), [row for row in figures if row[1] != "-"]),
        grid("phases", ("phase", "epochs", "examples", "program"), phases),
        paragraph(f"record {record.id}" + (f", {machine}" if machine else "")), "</div>"])
