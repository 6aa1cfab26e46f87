"""Small pieces of HTML for notebooks. Every text passes through `text`: whatever a name holds, it is shown, not run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

# A name of ten thousand letters says no more than its beginning.
LONGEST = 300


def text(value: Any) -> str:
    """Escaped, without control characters, lone surrogates or marks that turn the direction of writing; None is a
    dash."""
    if value is None:
        return "-"
    plain = str(value).encode("utf-8", "replace").decode("utf-8")
    plain = "".join(letter if letter.isprintable() else " " for letter in plain)
    return escape(plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}...")


def number(value: Any) -> str:
    """A measured number as people read it; a dash for None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "-" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.5g}"


def grid(caption: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; "" without rows."""
    if not rows:
        return ""
    head = "".join(f"<th>{text(title)}</th>" for title in header)
    body = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{text(caption)}</caption><tr>{head}</tr>{body}</table>"


def paragraph(sentence: str, strong: bool = False) -> str:
    inner = f"<strong>{text(sentence)}</strong>" if strong else text(sentence)
    return f"<p>{inner}</p>"
