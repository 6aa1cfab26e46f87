"""Prints the content: HTML through an escaping template, Markdown, and the fragment for notebooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from harness.report.content import Content
from harness.report.large import shortened
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


def template(name: str) -> Any:
    """A template that escapes what is put into it."""
    return _environment().get_template(name)


def to_html(page: Content) -> str:
    """The self-contained page. Everything is escaped but the SVG, which matplotlib has escaped."""
    return template("report.html").render(page=shortened(page))  # type: ignore[no-any-return]


def to_fragment(page: Content) -> str:
    """The answer, its table and the curves, for a notebook's output cell."""
    return template("fragment.html").render(page=page)  # type: ignore[no-any-return]


def to_markdown(page: Content) -> str:
    """The page as Markdown; the curves are in report.html, their numbers in report.json."""
    page = shortened(page)
    lines = [
        f"# {escaped(page.title)}",
        "",
        f"*{escaped(page.question)}*",
        "",
        f"**{escaped(page.answer)}**",
        "",
    ]
    lines += [f"- {escaped(question)} **{escaped(answer)}**" for question, answer in page.badges]
    lines += ["", *_table(page.answers), *_training(page)]
    lines += _inspections(page)
    lines += [*_table(page.blocks), *_table(page.throughput), *_table(page.phases)]
    lines += _table(page.ways) if page.ways.rows else []
    lines += _table(page.games) if page.games.rows else []
    lines += _sentences("What is not known", page.unknown)
    lines += _table(page.failed) if page.failed.rows else ["## Failed cells", "", "None.", ""]
    lines += _sentences("Notes", page.notes)
    lines += [*_table(page.environments), "## Reproduce", "", *(f"    {text}" for text in page.reproduce), ""]
    lines += ["The learning curves are in report.html; every step's loss is in series.parquet.", ""]
    return "\n".join(lines)


def _training(page: Content) -> list[str]:
    """The certificates: label, finding, ladder and signs; D(t) is drawn in report.html."""
    lines = ["## Same training?", ""]
    for view in page.training:
        lines += [f"### {escaped(view.title)}: {escaped(view.sentence)}", ""]
        lines += [f"- {escaped(word)}: {escaped(text)}" for word, text in view.finding]
        lines += ["", *(_rows(view.suspects) if view.suspects else [])]
        for phase in view.phases:
            lines += [escaped(phase.ladder.title), "", *_rows(phase.ladder)]
            lines += [f"- {escaped(text)}" for text in (*phase.signs, *phase.lines)] + [""]
        lines += [f"- {escaped(note)}" for note in view.notes] + [""]
    return lines if page.training else [*lines, "Nothing was run in both frameworks.", ""]


def _inspections(page: Content) -> list[str]:
    """Classes and texts; matrices and images are drawn in report.html, their numbers in report.json."""
    lines = ["## What the models say", ""] if page.inspections else []
    for view in page.inspections:
        lines += [f"### {escaped(view.title)}", ""]
        for output in view.classes:
            tables = [output.scores, output.confusions, *([output.apart] if output.apart else [])]
            lines += [part for table in tables for part in _titled(table)]
        lines += _titled(view.texts) if view.texts else []
    return lines


def _titled(table: Table) -> list[str]:
    return [f"{escaped(table.title)}. {escaped(table.caption)}".strip(), "", *_rows(table)] if table.rows else \
        [f"{escaped(table.title)}: none. {escaped(table.caption)}".strip(), ""]


def escaped(text: str) -> str:
    """Text that Markdown prints as it stands: no markup, no HTML, no table border."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#!~$])", r"\\\1", text)


def _table(table: Table) -> list[str]:
    lines = [f"## {escaped(table.title)}", "", escaped(table.caption), ""]
    if not table.rows:
        return [*lines, "Nothing to show.", ""]
    return [*lines, *_rows(table)]


def _rows(table: Table) -> list[str]:
    return [_row(table.columns), "|" + " --- |" * len(table.columns), *(_row(row) for row in table.rows), ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def _sentences(title: str, sentences: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {escaped(text)}" for text in sentences), ""] if sentences else []
