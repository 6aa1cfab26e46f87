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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, SpecError
from harness.records import strict_json
from harness.records.blocks import clean_blocks
from harness.records.experiment_file import EXPERIMENT_FILE
from harness.records.planned import write_planned
from harness.records.store import Store
from harness.report.results import Results
from harness.runner.blocks import Blocks, BlockSettings, More
from harness.runner.cell_runner import WAITING, OnEvent, Settings
from harness.runner.certificates import Due, certify_cells, due, real_certifier
from harness.runner.check import check
from harness.runner.dependencies import ordered
from harness.runner.executors.choice import LOCAL, choice
from harness.runner.executors.contract import Turn
from harness.runner.executors.opening import open_executor
from harness.runner.heartbeat import heartbeat
from harness.runner.locks import FileLock
from harness.runner.matrix import Cell
from harness.spec.experiment import Experiment, read_experiment
from harness.spec.timing import Timing

# "0": no run certifies, or times blocks, that is not told to.
CERTIFY, TIMING = "HARNESS_CERTIFY", "HARNESS_TIMING"
# Measures that are read from cells: where one of them decides, cells do not share the machine.
CELL_TIMES = ("train_seconds", "total_seconds", "first_step_seconds", "time_to_accuracy")


class Interrupted(HarnessError):  # noqa: N818 (it is no error)
    """The user ended the run (Ctrl-C). Everything that was finished is kept. Exit code 2."""

    exit_code = 2


def run(
    experiment: Experiment | Mapping[str, Any] | Path | str, out: Path | str | None = None,
    overrides: Sequence[str] = (), dry_run: bool = False, on_event: OnEvent | None = None, *,
    retry_failed: bool = False, timeout: float | None = None, certify: bool | None = None,
    timing: bool | None = None, more: int | None = None, setting: str | None = None, executor: str = LOCAL,
    address: str | None = None, placement: Sequence[str] | Mapping[str, str] = (),
) -> Results:
    """Runs all cells of an experiment that are not finished yet.

    experiment: a .yaml or .json file, or the same as a mapping. out: the folder of the results; by default
    results/<name>. overrides: "key=value" (with a file). dry_run: finds all mistakes, runs and writes nothing.
    on_event: called with what happens (runner/progress.py). retry_failed: runs failed cells again, and
    certifies again what could not be certified. timeout: seconds for a cell. certify: whether trainings are certified
    before they are timed, where they have no certificate yet; where None as the experiment says, and not at all where
    HARNESS_CERTIFY is 0. timing: whether the backends are timed against each other in blocks, likewise, and
    HARNESS_TIMING. more: so many more blocks of every setting that is undecided, or of `setting` (its id) alone.
    executor: "local", "ray" or "slurm" (docs/executors.md); address: of the cluster; placement: what its nodes must be.
    Raises SpecError before anything is written, Interrupted on Ctrl-C.
    """
    chosen = choice(executor, address, placement)
    read = _read(experiment, overrides)
    found = check(read)
    folder = Path("results") / read.name if out is None else Path(out)
    blocks = _block_settings(read.timing, timing, more, setting)
    if not dry_run:
        wanted = read.certify and os.environ.get(CERTIFY) != "0" if certify is None else certify
        settings = Settings(retry_failed=retry_failed, timeout=timeout, certifier=real_certifier if wanted else None,
                            blocks=blocks, executor=chosen)
        with heartbeat(folder, on_event) as tell:
            execute(read, found, folder, tell, settings)
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
    with contextlib.closing(open_executor(settings, store, tell)) as executor, _stop_on_signals():
        try:
            if blocks is not None:
                blocks.machine = executor.machine(gpus=any(cell.execution.device != "cpu" for cell in cells))
            store.clean()
            clean_blocks(folder)
            finished = {id for id, status in store.finished().items() if not settings.retry_failed or status == "done"}
            finished &= {cell.id for cell, _ in plan}
            tell({"event": "plan", "cells": len(plan), "skipped": len(finished), "out": str(folder)})
            write_experiment(experiment, folder)
            write_planned(folder, (cell.id for cell, _ in plan))
            certificates = Certificates([cell for cell, _ in plan], store, settings, tell)
            if certificates.due():
                executor.certify(certificates)
            turns = [Turn(cell, needed, (index + 1, len(plan))) for index, (cell, needed) in enumerate(plan)
                     if cell.id not in finished]
            if turns:
                # Without blocks the speed of cells is all that this machine shows: they keep it to themselves.
                observed = blocks is None and settings.executor.name == LOCAL
                executor.run(turns, alone=observed or experiment.verdict.primary in CELL_TIMES)
            if blocks is not None and blocks.due():
                executor.time(blocks)
        except KeyboardInterrupt:
            finished = set(store.ids()) & {cell.id for cell, _ in plan}
            raise Interrupted(
                f"interrupted with {len(finished)} of {len(plan)} cells finished. They are kept; run the same command "
                f"again to go on (`harness status {shlex.quote(str(folder))}` says how far it is).") from None


def _blocks(
    experiment: Experiment, cells: Sequence[Cell], store: Store, settings: Settings, tell: OnEvent,
) -> Blocks | None:
    """The blocks of the run; the executor knows on which machine."""
    if settings.blocks is None:
        return None
    return Blocks(cells, store, settings.blocks, experiment.verdict.margin, "", tell, settings.retry_failed,
                  experiment.verdict.primary)


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
