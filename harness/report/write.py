"""Writes the report's files. The same records give the same bytes."""

from __future__ import annotations

import csv
import io
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.analysis.verdict import Verdict
from harness.records import strict_json
from harness.records.blocks import read_blocks
from harness.records.certificates import read_certificates
from harness.records.record import CorruptRecordError, Record
from harness.records.store import Store, data_label, model_label, tabulate
from harness.report.content import Content, content
from harness.report.inspection import classes_rows
from harness.report.large import MOST_PICTURES, MOST_SERIES, brief
from harness.report.page import to_html, to_markdown
from harness.report.wording import shown

SCHEMA = 1
FILES = ("report.html", "report.md", "report.json", "cells.csv", "series.parquet")


def write_report(store: Store | Path | str, folder: Path | str, experiment: Mapping[str, Any] | None = None) -> Path:
    """Writes FILES into `folder` from the records of the store, and classes.csv where classes were looked at; returns
    the path of report.html.
    """
    return write_judged(store, folder, experiment)[0]


def write_judged(
    store: Store | Path | str, folder: Path | str, experiment: Mapping[str, Any] | None = None,
) -> tuple[Path, Verdict]:
    """`write_report`, with the verdict that the report gives: a large store is read and judged once.

    experiment: name, question, verdict {primary, margin, accuracy_margin}, command; all optional.
    Raises SpecError for a record of a newer version, or an unknown primary measure.
    """
    store = store if isinstance(store, Store) else Store(store)
    records = store.records()
    series = series_parquet(records, store.notes) if len(records) <= MOST_SERIES else None
    if series is None:
        store.notes.append(f"no series.parquet: the step series of more than {MOST_SERIES:,} records stay where they "
                           "are, in cells/<id>/series.parquet.")
    certificates, blocks = read_certificates(store.path, store.notes), read_blocks(store.path, store.notes)
    # Notes name what was passed over by its place in the store, not by where the store lies.
    notes = [note.replace(f"{store.path}{os.sep}", "") for note in store.notes]
    page = content(records, experiment, notes, certificates, blocks)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "report.html", to_html(page).encode())
    write_file(folder / "report.md", to_markdown(page).encode())
    data = report_data(page, experiment or {}, records, brief(certificates))
    text = strict_json.dumps(data, indent=1 if len(page.verdict.comparisons) <= MOST_PICTURES else None) + "\n"
    write_file(folder / "report.json", text.encode(errors="backslashreplace"))
    write_file(folder / "cells.csv", cells_csv(records).encode())
    if rows := classes_rows(page.inspections):
        write_file(folder / "classes.csv", csv_text(list(rows[0]), [list(row.values()) for row in rows]).encode())
    if series is not None:
        write_file(folder / "series.parquet", series)
    else:
        (folder / "series.parquet").unlink(missing_ok=True)
    return folder / "report.html", page.verdict


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
                          *(table for table in (page.ways, page.games) if table.rows), page.failed, page.environments)
        },
        "inspections": {view.title: view.data for view in page.inspections},
        "notes": page.notes,
        "reproduce": page.reproduce,
    }


def cells_csv(records: Sequence[Record]) -> str:
    """The table of cells."""
    frame = tabulate(list(records))
    return csv_text(list(frame.columns), list(frame.itertuples(index=False, name=None)))


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table. Text that a spreadsheet would take for a formula gets an apostrophe in front."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_harmless(name) for name in columns])
    for row in rows:
        writer.writerow([_harmless(value) for value in row])
    return buffer.getvalue()


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return _harmless_text(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (bool, int, float)) or hasattr(value, "dtype"):
        return value
    return _harmless_text(str(value))


@lru_cache(maxsize=2**16)
def _harmless_text(text: str) -> str:
    text = shown(text)
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
