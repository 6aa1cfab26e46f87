"""harness run: runs what is not done yet, shows how far it is, and ends with the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.exits import CONDITION_FAILED, OK, nothing_matched
from harness.cli.output import Json, emit
from harness.cli.planning import ExperimentArgument, Overrides


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
    as_json: Json = False,
) -> int:
    """Run what is not done yet, and answer.

    Cells and timed blocks that are finished are not run again. Ends with the answer and the path of the report; exit
    code 1 if a cell failed.
    """
    if dry_run:
        from harness.cli.planning import plan

        return plan(experiment, overrides, as_json)
    from harness.cli.experiments import locate
    from harness.cli.progress import progress_display
    from harness.runner.driver import run as run_experiment

    given: dict[str, Any] = {"certify": False if no_certify else None, "timing": False if no_timing else None,
                             "more": more, "setting": setting}
    with progress_display() as display:
        results = run_experiment(locate(experiment), out=out, overrides=tuple(overrides or ()), on_event=display,
                                 retry_failed=retry_failed,
                                 **{key: value for key, value in given.items() if value is not None})
    records = results.records()
    if not records:
        raise nothing_matched("the experiment has no cells.")
    page = results.report()
    verdict = results.which()
    failed = [record for record in records if record.status != "done"]
    data: dict[str, Any] = {
        "results": str(results.path), "report": str(page), "answer": verdict.sentence, "cells": len(records),
        "failed": [{"id": record.id, "reason": record.reason} for record in failed], "verdict": verdict.to_data(),
    }
    emit(data, f"{verdict.sentence}\n{page}", as_json)
    return CONDITION_FAILED if failed else OK
