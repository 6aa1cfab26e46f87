"""Prints the content: HTML through an escaping template, Markdown, and the fragment for notebooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from harness.report.content import Content
from harness.report.tables import Table


@cache
def _environment() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def to_html(page: Content) -> str:
    """The self-contained page. Everything is escaped but the SVG, which matplotlib has escaped."""
    return _environment().get_template("report.html").render(page=page)  # type: ignore[no-any-return]


def to_fragment(page: Content) -> str:
    """The answer, its table and the curves, for a notebook's output cell."""
    return _environment().get_template("fragment.html").render(page=page)  # type: ignore[no-any-return]


def to_markdown(page: Content) -> str:
    """The page as Markdown; the curves are in report.html, their numbers in report.json."""
    lines = [
        f"# {escaped(page.title)}",
        "",
        f"*{escaped(page.question)}*",
        "",
        f"**{escaped(page.answer)}**",
        "",
    ]
    lines += [f"- {escaped(question)} **{escaped(answer)}**" for question, answer in page.badges]
    lines += ["", *_table(page.answers), *_table(page.throughput), *_table(page.phases)]
    lines += _sentences("What is not known", page.unknown)
    lines += _table(page.failed) if page.failed.rows else ["## Failed cells", "", "None.", ""]
    lines += _sentences("Notes", page.notes)
    lines += [*_table(page.environments), "## Reproduce", "", *(f"    {text}" for text in page.reproduce), ""]
    lines += ["The learning curves are in report.html; every step's loss is in series.parquet.", ""]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Text that Markdown prints as it stands: no markup, no HTML, no table border."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#!~$])", r"\\\1", text)


def _table(table: Table) -> list[str]:
    lines = [f"## {escaped(table.title)}", "", escaped(table.caption), ""]
    if not table.rows:
        return [*lines, "Nothing to show.", ""]
    lines += [_row(table.columns), "|" + " --- |" * len(table.columns)]
    return [*lines, *(_row(row) for row in table.rows), ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def _sentences(title: str, sentences: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {escaped(text)}" for text in sentences), ""] if sentences else []
