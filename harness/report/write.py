"""Writes the report's files. The same records give the same bytes."""

from __future__ import annotations

import csv
import io
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.records import strict_json
from harness.records.blocks import read_blocks
from harness.records.certificates import read_certificates
from harness.records.record import CorruptRecordError, Record
from harness.records.store import Store, data_label, model_label, tabulate
from harness.report.content import Content, content
from harness.report.page import to_html, to_markdown
from harness.report.wording import shown

SCHEMA = 1
FILES = ("report.html", "report.md", "report.json", "cells.csv", "series.parquet")


def write_report(store: Store | Path | str, folder: Path | str, experiment: Mapping[str, Any] | None = None) -> Path:
    """Writes FILES into `folder` from the records of the store; returns the path of report.html.

    experiment: name, question, verdict {primary, margin, accuracy_margin}, command; all optional.
    Raises SpecError for a record of a newer version, or an unknown primary measure.
    """
    store = store if isinstance(store, Store) else Store(store)
    records = store.records()
    series = series_parquet(records, store.notes)
    certificates, blocks = read_certificates(store.path, store.notes), read_blocks(store.path, store.notes)
    # Notes name what was passed over by its place in the store, not by where the store lies.
    notes = [note.replace(f"{store.path}{os.sep}", "") for note in store.notes]
    page = content(records, experiment, notes, certificates, blocks)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "report.html", to_html(page).encode())
    write_file(folder / "report.md", to_markdown(page).encode())
    text = strict_json.dumps(report_data(page, experiment or {}, records, certificates)) + "\n"
    write_file(folder / "report.json", text.encode(errors="backslashreplace"))
    write_file(folder / "cells.csv", cells_csv(records).encode())
    write_file(folder / "series.parquet", series)
    return folder / "report.html"


def report_data(
    page: Content, experiment: Mapping[str, Any], records: Sequence[Record], certificates: Mapping[str, Any]
) -> dict[str, Any]:
    """report.json: the page for programs. null is "not measured", "NaN" a number that is none."""
    return {
        "schema": SCHEMA,
        "format": "harness-report",
        "experiment": dict(experiment),
        "records": len(records),
        "verdict": page.verdict.to_data(),
        "badges": dict(page.badges),
        "certificates": dict(certificates),
        "curves": {
            plot.title: {
                backend: {
                    name: {
                        "epoch": line.epochs,
                        "mean": line.mean,
                        "low": line.low,
                        "high": line.high,
                        "n": line.n,
                    }
                    for name, line in lines.items()
                }
                for backend, lines in plot.curves.items()
            }
            for plot in page.plots
        },
        "tables": {
            table.title: {"columns": table.columns, "rows": table.rows}
            for table in (page.answers, page.blocks, page.throughput, page.phases,
                          *([page.ways] if page.ways.rows else []), page.failed, page.environments)
        },
        "notes": page.notes,
        "reproduce": page.reproduce,
    }


def cells_csv(records: Sequence[Record]) -> str:
    """The table of cells. Text that a spreadsheet would take for a formula gets an apostrophe in front."""
    frame = tabulate(list(records))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_harmless(name) for name in frame.columns])
    for row in frame.itertuples(index=False, name=None):
        writer.writerow([_harmless(value) for value in row])
    return buffer.getvalue()


def _harmless(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (bool, int, float)) or hasattr(value, "dtype"):
        return value
    text = shown(value)
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") and text.lstrip() else text


def series_parquet(records: Sequence[Record], notes: list[str]) -> bytes:
    """All step series in one table, with the columns id, model, data, backend and seed in front."""
    import pyarrow
    import pyarrow.parquet

    parts = []
    for record in records:
        try:
            columns = record.columns
        except CorruptRecordError as error:
            notes.append(f"no step series: {error}")
            continue
        steps = len(next(iter(columns.values()), ()))
        owner = {
            "id": record.id,
            "model": shown(model_label(record)),
            "data": shown(data_label(record)),
            "backend": shown(record.backend),
        }
        front = {name: pyarrow.array([text] * steps, pyarrow.string()) for name, text in owner.items()}
        front["seed"] = pyarrow.array([record.seed] * steps, pyarrow.int64())
        parts.append(pyarrow.table({**front, **{name: pyarrow.array(v) for name, v in columns.items()}}))
    table = pyarrow.concat_tables(parts, promote_options="permissive") if parts else pyarrow.table({"id": []})
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def write_file(path: Path, content: bytes) -> None:
    """Whole or not at all, so that an open page never shows half a report."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
