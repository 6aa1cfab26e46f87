"""From records to one page: report.html, report.md, report.json, cells.csv, series.parquet."""

from __future__ import annotations

from harness.report.results import Results
from harness.report.write import write_report

__all__ = ["Results", "write_report"]
