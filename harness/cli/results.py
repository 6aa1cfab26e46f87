"""harness report, which, ls and status: what an experiment left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import OK, nothing_matched
from harness.cli.output import Json, byte_size, emit, table
from harness.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from harness.report.results import Results

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="The folder that `harness run` wrote.")]
COLUMNS = ("id", "model", "data", "backend", "tier", "seed", "status", "samples_per_second")
STATUSES = ("done", "failed", "dropped")
TIME_TO_ACCURACY, NO_DIFFERENCE = "time_to_accuracy", "no difference"
QUALITY = ("test_accuracy", "val_accuracy", "accuracy", "test_loss", "val_loss", "loss")


def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the report [RESULTS/report].")] = None,
    as_json: Json = False,
) -> int:
    """Write the report from the records: HTML, Markdown, JSON, CSV."""
    results = open_results(folder)
    page = results.report(out)
    verdict = results.which()
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


def ls(
    folder: Folder,
    filters: Annotated[list[str] | None, typer.Argument(help="backend=pytorch status=failed seed=0 ...")] = None,
    as_json: Json = False,
) -> int:
    """List the cells, or those that match."""
    frame = open_results(folder).cells()
    for item in filters or []:
        key, equals, wanted = item.partition("=")
        if not equals:
            raise SpecError(f"expected column=value, got {item!r}.", hint=f"Columns: {', '.join(frame.columns)}.")
        if key not in frame.columns:
            raise SpecError(f"there is no column {key!r}.", hint=did_you_mean(key, frame.columns))
        frame = frame[frame[key].map(str) == wanted]
    if frame.empty:
        raise nothing_matched(f"no cell matches {' '.join(filters or [])}.")
    shown = [name for name in COLUMNS if name in frame.columns]
    shown += [name for name in QUALITY if name in frame.columns and frame[name].notna().any()][:2]
    if frame["status"].ne("done").any():
        shown.append("reason")
    rows = [[_value(value) for value in row] for row in frame[shown].itertuples(index=False, name=None)]
    records = [{str(key): _value(value) for key, value in row.items()} for row in frame.to_dict("records")]
    emit(records, table(shown, rows), as_json)
    return OK


def _value(value: Any) -> Any:
    """A number of the table as Python's own; None for what was not measured."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value


def status(folder: Folder, as_json: Json = False) -> int:
    """How far an experiment is, and what failed."""
    results = open_results(folder, empty=True)
    records = results.records()
    done = [record for record in records if record.status == "done"]
    failed = [record for record in records if record.status != "done"]
    total = _number_of_cells(results)
    waiting = None if total is None else max(total - len(records), 0)
    size = sum(file.stat().st_size for file in results.path.rglob("*") if file.is_file())
    blocks = _blocks(results)
    data = {
        "path": str(results.path), "name": results.experiment.get("name"), "done": len(done), "failed": len(failed),
        "waiting": waiting, "bytes": size,
        "total_seconds": sum(float((r.data.get("timing") or {}).get("total_seconds") or 0.0) for r in records),
        "failures": [{"id": record.id, "reason": record.reason} for record in failed],
        "blocks": blocks, "notes": results.store.notes,
    }
    lines = [f"{results.path}: {len(done)} done, {len(failed)} failed"
             + (f", {waiting} waiting" if waiting is not None else "")
             + f"; {data['total_seconds']:.0f} s of runs, {byte_size(size)}"]
    lines += [f"failed: {record.id}: {(record.reason or {}).get('kind')}: {(record.reason or {}).get('message')}"
              for record in failed]
    for item in blocks:
        counts = ", ".join(f"{item[name]} {name}" for name in STATUSES if item[name])
        last = f"; the last one {item['last']['kind']}: {item['last']['message']}" if item["last"] else ""
        lines.append(f"blocks of {item['title']}, setting {item['setting']}: {counts}{last}")
    emit(data, "\n".join([*lines, *results.store.notes]), as_json)
    return OK


def _blocks(results: Results) -> list[dict[str, Any]]:
    """How many timed blocks of each setting are done, failed and dropped. last: why the latest is not done, or None."""
    from harness.records.blocks import read_blocks

    found = []
    for setting, blocks in read_blocks(results.path, results.store.notes).items():
        labels = blocks[-1].cell.get("labels") or {}
        title = ", ".join(text if axis == "model" else f"{axis} {text}" for axis, text in labels.items())
        counts = {status: sum(block.status == status for block in blocks) for status in STATUSES}
        found.append({"setting": setting, "title": title or setting, **counts, "last": blocks[-1].reason})
    return found


def _number_of_cells(results: Results) -> int | None:
    """How many cells the experiment has; None where its file or one of its models is not to be read any more."""
    from harness.runner.matrix import cells
    from harness.spec.experiment import KEYS, Experiment

    written = results.experiment
    source = written.get("source")
    folder = Path(source).resolve().parent if isinstance(source, str) else Path.cwd()
    try:
        experiment = Experiment.parse({key: written[key] for key in KEYS if key in written}, folder=folder)
        return len(cells(experiment, with_data=False))
    except SpecError:
        return None


def open_results(folder: Path, empty: bool = False) -> Results:
    """The results in that folder. Raises SpecError without any, and leaves with 5 if no cell is there."""
    from harness.report.results import Results

    results = Results.open(folder)
    if not empty and not results.store.ids():
        raise nothing_matched(f"{folder}: there are no finished cells yet.")
    return results
