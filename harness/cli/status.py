"""harness ls and status: which cells there are, how far an experiment is, and who is at work on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.exits import OK, nothing_matched
from harness.cli.output import Json, byte_size, emit, table
from harness.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    import pandas

    from harness.records.index import Entry
    from harness.records.running import Running
    from harness.records.standing import BlockStanding
    from harness.records.store import Store

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="The folder that `harness run` wrote.")]
COLUMNS = ("id", "model", "data", "backend", "tier", "seed", "status", "samples_per_second")
BLOCK_STATUSES = ("done", "failed", "dropped")
QUALITY = ("test_accuracy", "val_accuracy", "accuracy", "test_loss", "val_loss", "loss")
# Lines of text for failed cells, settings and running cells; --json has them all.
MOST_LINES = 20


def ls(
    folder: Folder,
    filters: Annotated[list[str] | None, typer.Argument(help="backend=pytorch status=failed seed=0 ...")] = None,
    as_json: Json = False,
) -> int:
    """List the cells, or those that match."""
    frame = matching(open_store(folder).cells(), filters or [])
    shown = [name for name in COLUMNS if name in frame.columns]
    shown += [name for name in QUALITY if name in frame.columns and frame[name].notna().any()][:2]
    if frame["status"].ne("done").any():
        shown.append("reason")
    if as_json:
        emit([{str(key): _value(value) for key, value in row.items()} for row in frame.to_dict("records")], "", True)
        return OK
    rows = [[_value(value) for value in row] for row in frame[shown].itertuples(index=False, name=None)]
    emit(None, table(shown, rows), False)
    return OK


def matching(frame: pandas.DataFrame, filters: list[str]) -> pandas.DataFrame:
    """The rows that fit every column=value. Raises SpecError for no such column, leaves with 5 where no row fits."""
    for item in filters:
        key, equals, wanted = item.partition("=")
        if not equals:
            raise SpecError(f"expected column=value, got {item!r}.", hint=f"Columns: {', '.join(frame.columns)}.")
        if key not in frame.columns:
            raise SpecError(f"there is no column {key!r}.", hint=did_you_mean(key, frame.columns))
        frame = frame[frame[key].map(str) == wanted]
    if frame.empty:
        raise nothing_matched(f"no cell matches {' '.join(filters)}.")
    return frame


def _value(value: Any) -> Any:
    """A number of the table as Python's own; None for what was not measured."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value


def status(folder: Folder, as_json: Json = False) -> int:
    """How far an experiment is, what is being run now, and what failed.

    While a run goes on, from another terminal too, or from another machine that sees the folder.
    """
    from harness.records.experiment_file import read_experiment_file
    from harness.records.running import read_running
    from harness.records.standing import block_standings

    store = open_store(folder, empty=True)
    experiment, entries = read_experiment_file(folder), store.entries()
    blocks = block_standings(store.path, store.notes)
    runs = [run for run in read_running(store.path) if run.alive]
    done = [entry for entry in entries.values() if entry.status == "done"]
    failed = [entry for entry in entries.values() if entry.status == "failed"]
    running = [cell for run in runs for cell in run.cells]
    waiting = _waiting(store, experiment, entries, running)
    seconds = sum(entry.seconds for entry in entries.values())
    data = {
        "path": str(store.path), "name": experiment.get("name"), "done": len(done), "failed": len(failed),
        "running": len(running), "waiting": waiting, "seconds_left": _seconds_left(runs, done, waiting),
        "bytes": sum(entry.bytes for entry in entries.values()) + _rest(store.path)
        + sum(item.bytes for item in blocks),
        "total_seconds": seconds, "runs": [run.to_data() for run in runs],
        "failures": [{"id": entry.id, "reason": entry.reason} for entry in failed],
        "blocks": [_block(item) for item in blocks], "notes": store.notes,
    }
    emit(data, "" if as_json else _text(data, runs), as_json)
    return OK


def _text(data: Mapping[str, Any], runs: list[Running]) -> str:
    from harness.cli.progress import duration

    counts = [f"{data['done']:,} done", f"{data['failed']:,} failed"]
    counts += [f"{data['running']:,} running"] if data["running"] else []
    counts += [f"{data['waiting']:,} waiting"] if data["waiting"] is not None else []
    lines = [f"{data['path']}: {', '.join(counts)}; {data['total_seconds']:.0f} s of runs, {byte_size(data['bytes'])}"]
    left = data["seconds_left"]
    for run in runs:
        about = "" if run.seconds_left is None else f", about {duration(run.seconds_left)} left"
        lines.append(f"a run is at work on {run.host} (process {run.pid}) since {run.started_at}{about}"
                     + (f": {run.current}" if run.current else ""))
    if not runs and left:
        lines.append(f"no run is at work; what waits would take about {duration(left)}, one cell after the other")
    lines += _some([
        f"running: {cell.get('title')} ({cell.get('id')})"
        + (f", {cell.get('phase')} {float(cell.get('share') or 0):.0%}" if cell.get("phase") else "")
        + f", for {duration(float(cell.get('seconds') or 0))}" for run in runs for cell in run.cells
    ], "running cells")
    reasons = [(item["id"], item["reason"] or {}) for item in data["failures"]]
    lines += _some([f"failed: {id}: {reason.get('kind')}: {reason.get('message')}" for id, reason in reasons],
                   f"failed cells: harness ls {data['path']} status=failed")
    lines += _some([_block_line(item) for item in data["blocks"]], "settings with blocks")
    return "\n".join([*lines, *_some(list(data["notes"]), "notes")])


def _some(lines: list[str], rest: str) -> list[str]:
    return lines if len(lines) <= MOST_LINES else [
        *lines[:MOST_LINES], f"and {len(lines) - MOST_LINES:,} more {rest}"]


def _block_line(item: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{item[name]} {name}" for name in BLOCK_STATUSES if item[name])
    last = f"; the last one {item['last']['kind']}: {item['last'].get('message')}" if item["last"] else ""
    return f"blocks of {item['title']}, setting {item['setting']}: {counts}{last}"


def _block(item: BlockStanding) -> dict[str, Any]:
    """How many timed blocks of a setting are done, failed and dropped. last: why the latest is not done, or None."""
    title = ", ".join(text if axis == "model" else f"{axis} {text}" for axis, text in item.labels.items())
    return {"setting": item.setting, "title": title or item.setting, **item.counts, "last": item.last}


def _seconds_left(runs: list[Running], done: list[Entry], waiting: int | None) -> float | None:
    """What the runs at work say; without any, by what the finished cells took, one after the other."""
    said = [run.seconds_left for run in runs if run.seconds_left is not None]
    if runs:
        return max(said, default=None)
    timed = [entry.seconds for entry in done if entry.seconds > 0]
    return None if not timed or waiting is None else waiting * sum(timed) / len(timed)


def _waiting(
    store: Store, experiment: Mapping[str, Any], entries: Mapping[str, Entry], running: list[dict[str, Any]],
) -> int | None:
    """How many cells of the last run have no record and are not being trained; None where that is not known."""
    from harness.records.index import DAMAGED
    from harness.records.planned import read_planned

    planned = read_planned(store.path)
    at_work = {cell.get("id") for cell in running}
    if planned is not None:
        finished = {id for id, entry in entries.items() if entry.status != DAMAGED}
        return sum(id not in finished and id not in at_work for id in planned)
    total = _number_of_cells(experiment)
    return None if total is None else max(total - len(entries) - len(at_work), 0)


def _number_of_cells(written: Mapping[str, Any]) -> int | None:
    """How many cells the experiment has; None where its file or one of its models is not to be read any more."""
    from harness.runner.matrix import cells
    from harness.spec.experiment import KEYS, Experiment

    source = written.get("source")
    folder = Path(source).resolve().parent if isinstance(source, str) else Path.cwd()
    try:
        experiment = Experiment.parse({key: written[key] for key in KEYS if key in written}, folder=folder)
        return len(cells(experiment, with_data=False))
    except SpecError:
        return None


def _rest(store: Path) -> int:
    """The size of what lies beside the records and blocks: logs, certificates, the store's own files."""
    size = 0
    for folder in (store, store / "logs", store / "certificates"):
        if folder.is_dir():
            with os.scandir(folder) as found:
                size += sum(item.stat(follow_symlinks=False).st_size for item in found
                            if item.is_file(follow_symlinks=False))
    return size


def open_store(folder: Path, empty: bool = False) -> Store:
    """The store in that folder. Raises SpecError without any, and leaves with 5 if no cell is there."""
    from harness.records.experiment_file import require_store
    from harness.records.store import Store

    store = Store(require_store(folder))
    if not empty and not store.ids():
        raise nothing_matched(f"{folder}: there are no finished cells yet.")
    return store
