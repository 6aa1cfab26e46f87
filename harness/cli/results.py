"""harness report and which: what an experiment left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.exits import OK, nothing_matched
from harness.cli.output import Json, emit
from harness.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from harness.report.results import Results

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="The folder that `harness run` wrote.")]
TIME_TO_ACCURACY, NO_DIFFERENCE = "time_to_accuracy", "no difference"


def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the report [RESULTS/report].")] = None,
    as_json: Json = False,
) -> int:
    """Write the report from the records: HTML, Markdown, JSON, CSV."""
    results = open_results(folder)
    page, verdict = results.judged_report(out)
    emit({"report": str(page), "answer": verdict.sentence, "verdict": verdict.to_data()},
         f"{verdict.sentence}\n{page}", as_json)
    return OK


def which(
    folder: Folder,
    primary: Annotated[str | None, typer.Option(
        help="The measure that decides: samples_per_second, time_to_accuracy, peak_bytes, latency_p99, test_accuracy, "
             "...")] = None,
    tier: Annotated[str | None, typer.Option(help="Judge only this one: tuned or idiomatic.")] = None,
    target: Annotated[str | None, typer.Option(
        metavar="METRIC=VALUE", help="Of time_to_accuracy, which is then what decides: val_accuracy=0.9.")] = None,
    margin: Annotated[float | None, typer.Option(help="The share that counts as a difference: 0.03.")] = None,
    accuracy_margin: Annotated[float | None, typer.Option(help="The same for accuracy: 0.005.")] = None,
    expect: Annotated[str | None, typer.Option(
        help="Exit with 1 unless every comparison says so: tensorflow, pytorch, or 'no difference'.")] = None,
    as_json: Json = False,
) -> int:
    """Answer: which framework, how sure.

    One sentence, then what was found in each setting, and what is not known. Exit code 6 where there is not enough
    evidence, 1 where the answer is not the expected one.
    """
    results = open_results(folder)
    expected = None if expect is None else _expected(expect)
    if target is not None:
        if primary not in (None, TIME_TO_ACCURACY):
            raise SpecError(f"--target is of {TIME_TO_ACCURACY}, and --primary is {primary}.", hint="Leave one out.")
        primary = TIME_TO_ACCURACY
    given = {"primary": primary, "margin": margin, "accuracy_margin": accuracy_margin, "tier": tier, "target": target}
    verdict = results.which(**{key: value for key, value in given.items() if value is not None})
    emit({**verdict.to_data(), "expected": expected}, str(verdict), as_json)
    return verdict.exit_code_for(expected)


def _expected(expect: str) -> str:
    """A backend, or "same". Raises SpecError for anything else."""
    from harness.backends import BACKENDS

    known = [*BACKENDS, NO_DIFFERENCE]
    if expect not in (*known, "same"):
        raise SpecError(f"--expect is one of {', '.join(known)}, got {expect!r}.", hint=did_you_mean(expect, known))
    return "same" if expect == NO_DIFFERENCE else expect


def open_results(folder: Path, empty: bool = False) -> Results:
    """The results in that folder. Raises SpecError without any, and leaves with 5 if no cell is there."""
    from harness.report.results import Results

    results = Results.open(folder)
    if not empty and not results.store.ids():
        raise nothing_matched(f"{folder}: there are no finished cells yet.")
    return results
