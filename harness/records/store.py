"""All records of an experiment: <store>/cells/<id>/, found, read, resumed from and tabulated."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError
from harness.records import folder as folders
from harness.records.folder import RUN_FILE
from harness.records.index import DAMAGED, Entry, Index
from harness.records.record import NUMBERS, CorruptRecordError, Record, read_record
from harness.records.shared_cell import SHARED, SharedCell

if TYPE_CHECKING:
    import pandas

ID = re.compile(r"[A-Za-z0-9_]{1,64}")
EXECUTION = ("tier", "compile", "precision", "device", "threads")
MEASURES = ("samples_per_second", "train_seconds")
FIXED = (
    *("id", "model", "data", "backend", *EXECUTION, "batch_size", "seed"),
    *("status", "reason", "parameters", "flops", *MEASURES),
    *("first_step_seconds", "peak_bytes", "process_peak_bytes"),
)


class Store:
    """The records below one folder. `notes` says in plain sentences what was found damaged and passed over."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.cells_path = self.path / "cells"
        self.notes: list[str] = []

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def folder(self, id: str) -> Path:
        """Where the record of that id lies or will lie. Raises SpecError for what is no id."""
        if not ID.fullmatch(id):
            raise SpecError(f"{id!r} is no record id; expected letters and digits.", where=str(self.path))
        return self.cells_path / id

    def ids(self) -> list[str]:
        """The ids of all folders that may hold a record, sorted."""
        try:
            with os.scandir(self.cells_path) as found:
                return sorted(item.name for item in found if ID.fullmatch(item.name) and item.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def get(self, id: str) -> Record | None:
        """The record, or None if there is none or it is damaged (then `notes` says so).

        Raises SpecError if it was written by a newer version.
        """
        if not self.folder(id).is_dir():
            return None
        found = self._whole(id)
        if isinstance(found, str):
            self._note(found)
            return None
        return found

    def _whole(self, id: str) -> Record | str:
        """The record, or what is wrong with its folder."""
        folder = self.folder(id)
        try:
            record = read_record(folder)
        except CorruptRecordError as error:
            return f"passed over: {error}"
        return record if record.id == id else f"passed over: {folder} holds the record of {record.id}."

    def has(self, id: str) -> bool:
        """Whether that cell is finished: a whole record is there, done or failed."""
        return self.get(id) is not None

    def records(self) -> list[Record]:
        """All whole records, by id."""
        entries, contents = self._index.contents(self.ids())
        self._note_damaged(entries)
        known: dict[tuple[str, ...], SharedCell] = {}
        found = []
        for id, content in contents.items():
            # Without keys the parts are this record's own.
            key = tuple(content.parts.values()) or (id,)
            if key not in known:
                known[key] = SharedCell(content.data["cell"])
            found.append(Record(content.data, self.cells_path / id, shared=known[key]))
        return found

    def entries(self, *, files: bool = False) -> dict[str, Entry]:
        """id -> how each record ended, whole and damaged ones; from the index where the store is large. files: looks
        at the files beside run.json as well. `notes` says what was found damaged."""
        found = self._index.entries(self.ids(), files=files)
        self._note_damaged(found)
        return found

    def finished(self) -> dict[str, str]:
        """id -> "done" or "failed", of every whole record: what a run need not do again."""
        return {id: entry.status for id, entry in self.entries(files=True).items() if entry.status != DAMAGED}

    def clean(self) -> list[str]:
        """Removes what killed writers left; returns a note for each. Call it before a run."""
        return folders.clean(self.cells_path)

    def cells(self) -> pandas.DataFrame:
        """One row per record: what it was, how it ended, its figures. Units stand in the column names."""
        return tabulate(self.records())

    @property
    def _index(self) -> Index:
        return Index(self.path, "cells", lambda id: f"{self.cells_path}/{id}/{RUN_FILE}", self._read, SHARED,
                     NUMBERS)

    def _read(self, id: str) -> tuple[Entry, dict[str, Any] | None]:
        """A record as the index keeps it."""
        record = self._whole(id)
        if isinstance(record, str):
            return Entry(id, DAMAGED, message=record), None
        reason = record.reason or {}
        files = {str(name): int(size) for name, size in (record.data.get("files") or {}).items()}
        seconds = (record.data.get("timing") or {}).get("total_seconds") or 0.0
        own = (self.folder(id) / RUN_FILE).stat().st_size
        return Entry(id, record.status, _text(reason.get("kind")), _text(reason.get("message")), float(seconds),
                     own + sum(files.values()), files), dict(record.data)

    def _note_damaged(self, entries: Mapping[str, Entry]) -> None:
        for entry in entries.values():
            if entry.status == DAMAGED and entry.message is not None:
                self._note(entry.message)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def tabulate(records: list[Record]) -> pandas.DataFrame:
    """The table of `Store.cells`: fixed columns, then one per label axis, then one per final metric."""
    import pandas

    lines = [(row(record), record.metrics, extra_labels(record)) for record in records]
    metrics = sorted({name for _, final, _ in lines for name in final}, key=_metric_order)
    # An axis may be called like a metric ("loss"): its column then says that it is a label.
    axes = {
        axis: f"label_{axis}" if axis in metrics else axis
        for axis in sorted({axis for _, _, labels in lines for axis in labels})
    }
    rows = [{**final, **figures, **{axes[axis]: text for axis, text in labels.items()}}
            for figures, final, labels in lines]
    labels = list(axes.values())
    left, right = FIXED[: FIXED.index("status")], FIXED[FIXED.index("status") :]
    columns = [*left, *labels, *right, *(name for name in metrics if name not in FIXED)]
    frame = pandas.DataFrame(rows, columns=columns)
    return frame.sort_values(["model", "data", *labels, "tier", "backend", "seed", "id"], kind="stable").reset_index(
        drop=True
    )


def row(record: Record) -> dict[str, Any]:
    """One line of the table of cells, labels and metrics aside; None where a figure was not measured."""
    cell, execution = record.cell, record.cell.get("execution") or {}
    timing, memory = record.data.get("timing") or {}, record.data.get("memory") or {}
    reason = record.reason
    return {
        "id": record.id,
        "model": model_label(record),
        "data": data_label(record),
        "backend": record.backend,
        **{name: execution.get(name) for name in EXECUTION},
        "batch_size": _batch_size(record),
        "seed": record.seed,
        "status": record.status,
        "reason": f"{reason.get('kind')}: {reason.get('message')}" if reason else None,
        "parameters": (cell.get("model") or {}).get("parameters"),
        "flops": (cell.get("model") or {}).get("flops"),
        "samples_per_second": record.samples_per_second,
        "train_seconds": record.train_seconds,
        "first_step_seconds": timing.get("first_step_seconds"),
        "peak_bytes": memory.get("peak_bytes"),
        "process_peak_bytes": memory.get("process_peak_bytes"),
    }


def _batch_size(record: Record) -> int | None:
    """As the recipe says; where it leaves it to the default, the largest batch that was trained."""
    said = (record.cell.get("recipe") or {}).get("batch_size")
    if said is not None:
        return int(said)
    sizes = record.columns.get("batch_size", ())
    return int(max(sizes)) if len(sizes) else None


def model_label(record: Record) -> str:
    """The model as the experiment's matrix names it, else its own name."""
    labels = record.cell.get("labels") or {}
    return str(labels.get("model") or (record.cell.get("model") or {}).get("name"))


def data_label(record: Record) -> str:
    """The data as the experiment's matrix names it, else the data set's own name."""
    labels, spec = record.cell.get("labels") or {}, record.cell.get("data")
    name = (record.data.get("data") or {}).get("name")
    source = spec.get("source") if isinstance(spec, dict) else spec
    return str(labels.get("data") or name or _source_name(spec) or source)


def _source_name(spec: Any) -> str | None:
    """What the data of a failed run is called, as far as this version can read how it was written."""
    from harness.spec.dataset import DatasetSpec

    try:
        return DatasetSpec.parse(spec).name
    except SpecError:
        return None


def extra_labels(record: Record) -> dict[str, str]:
    """The labels of those axes of the matrix that have no column of their own."""
    labels = record.cell.get("labels") or {}
    return {str(axis): str(text) for axis, text in labels.items() if axis not in FIXED}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _metric_order(name: str) -> tuple[int, bool, str]:
    """Train, validation, test; the loss first."""
    split = 2 if name.startswith("test_") else 1 if name.startswith("val_") else 0
    return split, not name.endswith("loss"), name
