"""The timed blocks as a table: what both halves measured, and the blocks that ended without a result."""

from __future__ import annotations

from harness.analysis.blocks import Row
from harness.analysis.settings import backend_title
from harness.analysis.verdict import Verdict
from harness.records.blocks import DONE
from harness.report.tables import Table
from harness.report.wording import ABSENT, figure, shown, size


def blocks(verdict: Verdict) -> Table:
    """A row per comparison and measure."""
    rows = []
    for comparison in verdict.comparisons:
        timed = comparison.blocks
        for row in timed.rows() if timed else ():
            ratio = figure(row.ratio, lambda value: f"{value:.3f}") if row.ratio else ABSENT
            rows.append([
                shown(comparison.setting.title), shown(f"{row.metric} ({row.unit})"),
                f"{backend_title(comparison.a)} / {backend_title(comparison.b)}",
                *(_cell(row, name) for name in (comparison.a, comparison.b)), ratio,
                str(row.ratio.n if row.ratio else 0)])
    caption = ("Geometric means over blocks, and their ratio paired by block, with 95% intervals (Student t on logs): "
               "descriptive, whatever the looks. A dash: not measured, and why.")
    columns = ["setting", "measure", "first / second", "first", "second", "ratio", "blocks"]
    return Table("Timed blocks", caption, columns, rows)


def _cell(row: Row, backend: str) -> str:
    found = row.figures[backend]
    if found is None:
        return shown(f"{ABSENT} ({row.reasons[backend]})") if backend in row.reasons else ABSENT
    return figure(found, size) if row.unit == "bytes" else figure(found)


def without_result(verdict: Verdict) -> list[list[str]]:
    """A row per failed or dropped block, as the table of failed cells has them."""
    rows = []
    for comparison in verdict.comparisons:
        for block in comparison.blocks.blocks if comparison.blocks else ():
            if block.status != DONE:
                reason = block.reason or {}
                rows.append([shown(f"{comparison.setting.title}, block {block.number}, {block.status}"),
                             shown(reason.get("kind", "unknown")), shown(reason.get("message")),
                             f"{block.setting}/{block.number:04d}"])
    return rows
