"""What a page of very many settings leaves out, and says that it does: a page is read, the records are kept.

The verdict, report.json's tables and cells.csv are always of all records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from harness.report.tables import Table

if TYPE_CHECKING:
    from harness.report.content import Content

# Settings with learning curves, ladders and inspections.
MOST_PICTURES = 20
# Rows of a table, and sentences of a list, on the page.
MOST_ROWS = 400
# Records whose step series are put into one file.
MOST_SERIES = 5000

# Certificates that report.json holds in full; of more it holds what they say.
MOST_CERTIFICATES = 200

T = TypeVar("T")


def pictured(settings: Sequence[T], notes: list[str]) -> list[T]:
    """The settings that are drawn; a note where that is not all of them."""
    if len(settings) > MOST_PICTURES:
        notes.append(f"learning curves, certificates and inspections are shown of the first {MOST_PICTURES} of "
                     f"{len(settings):,} settings; the tables and report.json have all of them.")
    return list(settings[:MOST_PICTURES])


def brief(certificates: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """The certificates for report.json."""
    if len(certificates) <= MOST_CERTIFICATES:
        return certificates
    return {key: {name: data.get(name) for name in ("label", "reason", "subject")}
            for key, data in certificates.items()}


def shortened(page: Content) -> Content:
    """The page with tables and lists that a browser can show."""
    found: dict[str, Any] = {}
    for item in fields(page):
        value = getattr(page, item.name)
        if isinstance(value, Table) and len(value.rows) > MOST_ROWS:
            caption = f"{value.caption} The first {MOST_ROWS} of {len(value.rows):,} rows; report.json has all."
            found[item.name] = Table(value.title, caption.strip(), value.columns, value.rows[:MOST_ROWS])
        elif item.name in ("unknown", "notes") and len(value) > MOST_ROWS:
            found[item.name] = [*value[:MOST_ROWS], f"and {len(value) - MOST_ROWS:,} more, which report.json has."]
    return replace(page, **found) if found else page
