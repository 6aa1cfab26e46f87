"""harness run: runs what is not done yet, shows how far it is, and ends with the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import CONDITION_FAILED, INTERRUPTED, OK, nothing_matched
from harness.cli.output import Json, emit
from harness.cli.planning import ExperimentArgument, Overrides
from harness.errors import HarnessError, SpecError

if TYPE_CHECKING:
    from harness.cli.progress import Display


def run(
    experiment: ExperimentArgument,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the results.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run, and leave.")] = False,
    no_certify: Annotated[bool, typer.Option("--no-certify", help="No certificates: figures, but no verdict.")] = False,
    no_timing: Annotated[bool, typer.Option("--no-timing", help="No timed blocks, so no verdict on speed.")] = False,
    more: Annotated[int | None, typer.Option("--more", help="So many more blocks of what is undecided.")] = None,
    setting: Annotated[str | None, typer.Option("--setting", help="With --more: of this setting alone.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")] = False,
    executor: Annotated[str, typer.Option("--executor", help="Where: local, ray or slurm.")] = "local",
    address: Annotated[str | None, typer.Option("--address", help="Of the Ray cluster: HOST:PORT.")] = None,
    placement: Annotated[
        list[str] | None, typer.Option("--placement", help="KEY=VALUE: a Ray node's label, a Slurm job's parameter."),
    ] = None,
    json_events: Annotated[bool, typer.Option("--json-events", help="Print every event as a line of JSON.")] = False,
    as_json: Json = False,
) -> int:
    """Run what is not done yet, and answer.

    Cells and timed blocks that are finished are not run again. Ends with the answer and the path of the report; exit
    code 1 if a cell failed.

    A challenge bundle (.zip, see `harness bundle`) is replayed: exit code 1 if one of its figures does not hold.
    """
    from harness.exchange.bundle import is_bundle

    if is_bundle(experiment):
        return _bundle(experiment, out, {
            "key=value": overrides, "--dry-run": dry_run, "--no-certify": no_certify, "--more": more,
            "--setting": setting, "--retry-failed": retry_failed, "--executor": executor != "local",
            "--address": address, "--placement": placement}, not no_timing, as_json)
    if dry_run:
        from harness.cli.planning import plan

        return plan(experiment, overrides, as_json)
    from harness.cli.experiments import locate
    from harness.cli.progress import progress_display
    from harness.runner.driver import run as run_experiment

    given: dict[str, Any] = {"certify": False if no_certify else None, "timing": False if no_timing else None,
                             "more": more, "setting": setting, "address": address, "placement": placement,
                             "executor": None if executor == "local" else executor}
    if json_events and as_json:
        raise SpecError("--json-events and --json both write to stdout.",
                        hint="Give one: the last event is the answer.")
    with progress_display(events=json_events) as display, _told(display, json_events):
        results = run_experiment(locate(experiment), out=out, overrides=tuple(overrides or ()), on_event=display,
                                 retry_failed=retry_failed,
                                 **{key: value for key, value in given.items() if value is not None})
    entries = results.store.entries().values()
    if not entries:
        raise nothing_matched("the experiment has no cells.")
    page, verdict = results.judged_report()
    failed = [entry for entry in entries if entry.status == "failed"]
    data: dict[str, Any] = {
        "results": str(results.path), "report": str(page), "answer": verdict.sentence, "cells": len(entries),
        "failed": [{"id": entry.id, "reason": entry.reason} for entry in failed], "verdict": verdict.to_data(),
    }
    code = CONDITION_FAILED if failed else OK
    if json_events:
        display({"event": "answer", **data, "exit_code": code})
    else:
        emit(data, f"{verdict.sentence}\n{page}", as_json)
    return code


@contextmanager
def _told(display: Display, events: bool) -> Iterator[None]:
    """An end before the end is an event too; the message goes to stderr as ever."""
    try:
        yield
    except HarnessError as error:
        if events:
            kind = "interrupted" if error.exit_code == INTERRUPTED else "error"
            display({"event": kind, "message": str(error), "exit_code": error.exit_code})
        raise


def _bundle(path: str, out: Path | None, foreign: dict[str, Any], timing: bool, as_json: bool) -> int:
    """Replays a bundle, which is run as it is."""
    from harness.cli.bundle import run_bundle

    for option, given in foreign.items():
        if given:
            raise SpecError(f"{option} changes what is run, and a bundle is replayed as it is.", where=path,
                            hint="It takes --out and --no-timing.")
    return run_bundle(Path(path), out, timing, as_json)
