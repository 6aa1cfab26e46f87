"""Finds the records that a program's fits left below HARNESS_RESULTS."""

from __future__ import annotations

from pathlib import Path

from harness.records.record import Record
from harness.records.store import Store


def fits_of(folder: Path) -> list[dict[str, Record]]:
    """framework -> record, for each fit in the order of the calls; the program was run once."""
    stores = [Store(path.parent) for path in folder.glob("*/*/cells")]
    fits = [{record.backend: record for record in store.records()} for store in stores]
    return sorted(fits, key=lambda fit: str(fit["tensorflow"].data["started_at"]))
