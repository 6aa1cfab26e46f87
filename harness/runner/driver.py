"""Runs an experiment: what is not done yet, one cell after the other, each in a process of its own.

    <out>/experiment.json       the experiment, every default written out
    <out>/certificates/         whether the trainings that are compared are the same (runner/certificates.py)
    <out>/cells/<id>/           one record per finished cell, written whole by the cell itself
    <out>/blocks/<setting>/     the timed comparisons of the backends (runner/blocks.py)
    <out>/logs/<id>.log         what the frameworks printed

A cell is finished when its record is there; everything else can be killed at any moment and run again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, SpecError
from harness.records import strict_json
from harness.records.blocks import clean_blocks
from harness.records.environment import environment
from harness.records.folder import checkpoint_file
from harness.records.record import Record, write_record
from harness.records.store import Store
from harness.report.results import EXPERIMENT_FILE, Results
from harness.runner.blocks import Blocks, BlockSettings, More
from harness.runner.cell import failure, now
from harness.runner.certificates import Certifier, Due, certify_cells, due, real_certifier
from harness.runner.check import check
from harness.runner.dependencies import Need, ordered
from harness.runner.locks import FileLock, machine_lock_path
from harness.runner.matrix import Cell
from harness.runner.workers import Job, JobResult, Workers
from harness.spec.experiment import Experiment, read_experiment
from harness.spec.timing import Timing

# "0": no run certifies, or times blocks, that is not told to.
CERTIFY, TIMING = "HARNESS_CERTIFY", "HARNESS_TIMING"
OnEvent = Callable[[dict[str, Any]], None]
CELL_JOB = "harness.runner.cell:cell_job"
WAITING = {"event": "waiting", "message": "another run on this machine is timing; waiting for it."}
# Measures that are read from cells: where one of them decides, cells do not share the machine.
CELL_TIMES = ("train_seconds", "total_seconds", "first_step_seconds", "time_to_accuracy")


class Interrupted(HarnessError):  # noqa: N818 (it is no error)
    """The user ended the run (Ctrl-C). Everything that was finished is kept. Exit code 2."""

    exit_code = 2


@dataclass
class Settings:
    """How cells are run. backend_of: cell -> the worker that runs it; certifier: opens what certifies, None to leave
    it; blocks: how the backends are timed against each other, None to leave it; tests put their own in these places.
    """

    function: str = CELL_JOB
    retry_failed: bool = False
    timeout: float | None = None
    lock: Path | None = None
    backend_of: Callable[[Cell], str] = lambda cell: cell.backend
    certifier: Callable[[], contextlib.AbstractContextManager[Certifier]] | None = None
    blocks: BlockSettings | None = None


def run(
    experiment: Experiment | Mapping[str, Any] | Path | str, out: Path | str | None = None,
    overrides: Sequence[str] = (), dry_run: bool = False, on_event: OnEvent | None = None, *,
    retry_failed: bool = False, timeout: float | None = None, certify: bool | None = None,
    timing: bool | None = None, more: int | None = None, setting: str | None = None,
) -> Results:
    """Runs all cells of an experiment that are not finished yet.

    experiment: a .yaml or .json file, or the same as a mapping. out: the folder of the results; by default
    results/<name>. overrides: "key=value" (with a file). dry_run: finds all mistakes, runs and writes nothing.
    on_event: called with what happens (runner/progress.py). retry_failed: runs failed cells again, and
    certifies again what could not be certified. timeout: seconds for a cell. certify: whether trainings are certified
    before they are timed, where they have no certificate yet; where None as the experiment says, and not at all where
    HARNESS_CERTIFY is 0. timing: whether the backends are timed against each other in blocks, likewise, and
    HARNESS_TIMING. more: so many more blocks of every setting that is undecided, or of `setting` (its id) alone.
    Raises SpecError before anything is written, Interrupted on Ctrl-C.
    """
    read = _read(experiment, overrides)
    found = check(read)
    folder = Path("results") / read.name if out is None else Path(out)
    blocks = _block_settings(read.timing, timing, more, setting)
    if not dry_run:
        wanted = read.certify and os.environ.get(CERTIFY) != "0" if certify is None else certify
        execute(read, found, folder, on_event, Settings(
            retry_failed=retry_failed, timeout=timeout, certifier=real_certifier if wanted else None, blocks=blocks))
    return Results(folder)


def _block_settings(
    said: Timing | None, wanted: bool | None, more: int | None, setting: str | None,
) -> BlockSettings | None:
    """How blocks are timed, None where they are not. said: by the experiment; wanted: by the caller."""
    if wanted is None:
        timing = None if os.environ.get(TIMING) == "0" else said
    else:
        timing = (said or Timing()) if wanted else None
    if more is None and setting is not None:
        raise SpecError("a setting is named without saying how many more blocks it gets.", where="--setting",
                        hint="Add --more 6.")
    if more is None:
        return None if timing is None else BlockSettings(timing)
    if isinstance(more, bool) or not isinstance(more, int) or more < 1:
        raise SpecError(f"the number of blocks to add is a whole number of at least 1, got {more!r}.", where="--more")
    if timing is None:
        raise SpecError("more blocks are wanted, but this run times none.", where="--more",
                        hint=f"Leave out --no-timing, timing: false and {TIMING}=0.")
    return BlockSettings(timing, More(more, setting))


def _read(experiment: Experiment | Mapping[str, Any] | Path | str, overrides: Sequence[str]) -> Experiment:
    if isinstance(experiment, (str, Path)):
        return read_experiment(experiment, overrides)
    if overrides:
        raise SpecError("overrides go with an experiment in a file.", hint="Change the mapping instead.")
    return Experiment.parse(experiment, folder=Path.cwd())


def execute(
    experiment: Experiment, cells: Sequence[Cell], folder: Path, on_event: OnEvent | None, settings: Settings,
) -> None:
    """Runs the cells, checked and in their order, that have no record in `folder` yet."""
    tell = on_event or (lambda event: None)
    store = Store(folder)
    plan = ordered(cells)
    blocks = _blocks(experiment, cells, store, settings, tell)
    store.clean()
    clean_blocks(folder)
    finished = {cell.id for cell, _ in plan if not _is_due(store.get(cell.id), settings)}
    tell({"event": "plan", "cells": len(plan), "skipped": len(finished), "out": str(folder)})
    write_experiment(experiment, folder)
    certificates = Certificates([cell for cell, _ in plan], store, settings, tell)
    if len(finished) == len(plan) and not certificates.due() and not (blocks and blocks.due()):
        return
    shared = blocks is not None and experiment.verdict.primary not in CELL_TIMES
    lock = FileLock(settings.lock or machine_lock_path())
    workers = Workers((lock.descriptor,))
    try:
        with _stop_on_signals():
            certificates(lock)
            workers.start({settings.backend_of(cell) for cell, _ in plan if cell.id not in finished})
            for index, (cell, needed) in enumerate(plan):
                if cell.id not in finished:
                    runner = CellRunner(cell, needed, store, settings, workers, tell, (index + 1, len(plan)))
                    with lock.held(runner.tell_waiting, shared=shared):
                        runner()
            if blocks is not None and (due := blocks.due()):
                workers.start({settings.backend_of(cell) for setting in due for cell in setting.pair.cells.values()})
                blocks(blocks.halves(lambda cell: workers.get(settings.backend_of(cell)), settings.timeout), lock)
    except KeyboardInterrupt:
        raise Interrupted("interrupted. What is finished is kept; run the same command again to go on.") from None
    finally:
        workers.close()
        lock.close()


def _blocks(
    experiment: Experiment, cells: Sequence[Cell], store: Store, settings: Settings, tell: OnEvent,
) -> Blocks | None:
    if settings.blocks is None:
        return None
    return Blocks(cells, store, settings.blocks, experiment.verdict.margin, environment()["machine"], tell,
                  settings.retry_failed, experiment.verdict.primary)


def _is_due(record: Record | None, settings: Settings) -> bool:
    return record is None or (record.status == "failed" and settings.retry_failed)


@dataclass
class Certificates:
    """What is certified before cells are timed."""

    cells: Sequence[Cell]
    store: Store
    settings: Settings
    tell: OnEvent

    def due(self) -> list[Due]:
        return due(self.cells, self.store, self.settings.retry_failed) if self.settings.certifier else []

    def __call__(self, lock: FileLock) -> None:
        if self.settings.certifier is None or not self.due():
            return
        with lock.held(lambda: self.tell(dict(WAITING))):
            # Another driver may have certified while this one waited.
            if missing := self.due():
                with self.settings.certifier() as certifier:
                    certify_cells(missing, self.store, certifier, self.tell)


@dataclass
class CellRunner:
    """One cell: in a child, to a record, whatever becomes of it. place: (its number, of how many)."""

    cell: Cell
    needed: list[Need]
    store: Store
    settings: Settings
    workers: Workers
    tell: OnEvent
    place: tuple[int, int]

    def __call__(self) -> None:
        # Another driver may have run it while this one waited for the lock.
        record = self.store.get(self.cell.id)
        if not _is_due(record, self.settings):
            assert record is not None
            self._finished(record.status, record.reason, 0.0)
            return
        began, started = time.monotonic(), now()
        self.tell({"event": "cell_started", "id": self.cell.id, "title": self.cell.title, "index": self.place[0],
                   "of": self.place[1], "labels": dict(self.cell.labels), "backend": self.cell.backend})
        result = self._train()
        record = self.store.get(self.cell.id) if result.status == "done" else None
        if record is None:
            reason = result.reason or {"kind": "error", "message": "the cell left no whole record."}
            write_record(self.store.folder(self.cell.id), failure(self.cell, started, reason), {}, {})
            self._finished("failed", reason, time.monotonic() - began)
        else:
            self._finished("done", None, time.monotonic() - began)

    def _train(self) -> JobResult:
        checkpoints, missing = {}, None
        for need in self.needed:
            path = self.store.folder(need.twin.id) / checkpoint_file(need.after)
            checkpoints[f"{need.backend}/{need.after}"] = str(path.resolve())
            if not path.is_file():
                missing = f"the checkpoint of {need.twin.title!r} ({need.twin.id}) after {need.after!r} is missing: " \
                          "that cell failed."
        if missing is not None:
            return JobResult("failed", reason={"kind": "error", "message": missing})
        log = self.store.path / "logs" / f"{self.cell.id}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        folder = self.store.folder(self.cell.id).resolve()
        arguments = {"cell": self.cell.to_data(), "folder": str(folder), "checkpoints": checkpoints}
        worker = self.workers.get(self.settings.backend_of(self.cell))
        # The times of whole trainings contain compiling, in every seed alike.
        return worker.run(Job(self.settings.function, arguments, log.resolve(), cold=True), self._progress,
                          self.settings.timeout)

    def _progress(self, event: dict[str, Any]) -> None:
        self.tell({**event, "id": self.cell.id})

    def _finished(self, status: str, reason: Mapping[str, Any] | None, seconds: float) -> None:
        short = None if reason is None else {"kind": reason.get("kind"), "message": reason.get("message")}
        self.tell({"event": "cell_finished", "id": self.cell.id, "title": self.cell.title, "status": status,
                   "reason": short, "seconds": seconds})

    def tell_waiting(self) -> None:
        self.tell(dict(WAITING))


def write_experiment(experiment: Experiment, folder: Path) -> None:
    """experiment.json, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    source = None if experiment.document is None else str(experiment.document.path)
    # The report adds its own advice to the command: overrides stand last.
    command = shlex.join(["harness", "run", source or experiment.name, *experiment.overrides])
    text = strict_json.dumps({**experiment.to_data(), "source": source, "command": command})
    temporary = folder / f".{EXPERIMENT_FILE}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, folder / EXPERIMENT_FILE)


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does (in the main thread; elsewhere signals are not ours)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
