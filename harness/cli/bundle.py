"""harness bundle, and harness run of a bundle: runs for others to dispute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import CONDITION_FAILED, OK
from harness.cli.output import Json, byte_size, emit, table

if TYPE_CHECKING:
    from harness.runner.replay import Replay
    from harness.runner.replay_judging import Row

SHOWN_DIGITS = 12


def bundle(
    place: Annotated[Path, typer.Argument(metavar="CELL|RESULTS", help="A folder of results, its report, or one of "
                                          "its cells: results/heart/cells/0123...")],
    filters: Annotated[list[str] | None, typer.Argument(help="seed=0 model=mlp ...: only these runs.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path("challenge.zip"),
    with_data: Annotated[bool, typer.Option("--with-data", help="Put the arrays of your own files in it.")] = False,
    as_json: Json = False,
) -> int:
    """Pack runs for others to replay and dispute.

    Specs, plan, tape, seeds, first weights that no seed gives, versions and expected figures in one file. `harness run
    challenge.zip` replays it.
    """
    from harness.runner.replay_making import make_bundle

    made = make_bundle(place, out, filters or [], with_data=with_data)
    size = made.path.stat().st_size
    data = {"bundle": str(made.path), "digest": made.digest, "cells": made.cells, "files": made.files, "bytes": size,
            "notes": made.notes}
    plural = "run" if len(made.cells) == 1 else "runs"
    lines = [f"{made.path}: {len(made.cells)} {plural}, {made.files} files, {byte_size(size)}",
             f"digest {made.digest}", *(f"note: {note}" for note in made.notes),
             f"Replay it with: harness run {made.path.name}"]
    emit(data, "\n".join(lines), as_json)
    return OK


def run_bundle(path: Path, out: Path | None, timing: bool, as_json: bool) -> int:
    """Replays a bundle; exit code 1 where a figure does not hold."""
    from harness.cli.progress import progress_display
    from harness.runner.replay import replay

    with progress_display() as display:
        found = replay(path, out, timing=timing, on_event=display)
    emit(found.to_data(), replay_text(found), as_json)
    return OK if found.holds else CONDITION_FAILED


def replay_text(found: Replay) -> str:
    """The answer, then every run with its figures."""
    from harness.report.wording import shown

    lines = [found.sentence, f"bundle {found.digest}"]
    lines += [f"- not as there: {text}" for text in found.differences]
    for run in found.runs:
        lines += ["", f"{run.title}: {run.outcome}", *_rows(run.rows)]
    for title, rows in found.timing.items():
        lines += ["", f"timed blocks of {title}", *_rows(rows)]
    lines += ["", f"The replay's records: {found.results}"] if found.results else []
    return "\n".join(map(shown, lines))


def _rows(rows: list[Row]) -> list[str]:
    words = {True: "holds", False: "DIFFERS", None: "-"}
    return table(["figure", "there", "here", "", ""], [
        [row.what, _short(row.expected), _short(row.found), words[row.holds], row.says] for row in rows]).splitlines()


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"
    text = str(value)
    return f"{text[:SHOWN_DIGITS]}..." if len(text) == 64 else text
