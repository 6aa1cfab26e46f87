"""The local executor: everything on this machine, one cell or block after the other, in the workers' children."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from harness.records.environment import environment
from harness.records.store import Store
from harness.runner.cell_runner import CellRunner, OnEvent, Settings
from harness.runner.executors.contract import Turn
from harness.runner.locks import FileLock, machine_lock_path
from harness.runner.workers import Workers

if TYPE_CHECKING:
    from harness.runner.blocks import Blocks
    from harness.runner.driver import Certificates


class LocalExecutor:
    """Holds the lock of this machine and the fork servers, both made when first needed."""

    def __init__(self, settings: Settings, store: Store, tell: OnEvent) -> None:
        self.settings, self.store, self.tell = settings, store, tell

    @cached_property
    def lock(self) -> FileLock:
        return FileLock(self.settings.lock or machine_lock_path())

    @cached_property
    def workers(self) -> Workers:
        return Workers((self.lock.descriptor,))

    def machine(self, *, gpus: bool) -> str:
        return str(environment()["machine"])

    def certify(self, certificates: Certificates) -> None:
        certificates(self.lock)

    def run(self, turns: Sequence[Turn], *, alone: bool) -> None:
        self.workers.start({self.settings.backend_of(turn.cell) for turn in turns})
        for turn in turns:
            runner = CellRunner(turn.cell, list(turn.needed), self.store, self.settings, self.workers, self.tell,
                                turn.place)
            with self.lock.held(runner.tell_waiting, shared=not alone):
                runner()

    def time(self, blocks: Blocks) -> None:
        if due := blocks.due():
            backend_of = self.settings.backend_of
            self.workers.start({backend_of(cell) for setting in due for cell in setting.pair.cells.values()})
            blocks(blocks.halves(lambda cell: self.workers.get(backend_of(cell)), self.settings.timeout), self.lock)

    def close(self) -> None:
        if "workers" in self.__dict__:
            self.workers.close()
        if "lock" in self.__dict__:
            self.lock.close()
