"""Runs what is due on a cluster: tasks to nodes (flights.py), their answers into the store.

A block is one task with both of its halves, and enters the store when both are there: a node that dies between them
leaves nothing, and the whole block is done again.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.certify.certificate import Certificate
from harness.errors import HarnessError, SpecError
from harness.records.blocks import FAILED, write_block
from harness.records.certificates import write_certificate
from harness.records.folder import owner, stale
from harness.records.record import write_record
from harness.records.store import Store
from harness.runner.blocks import Blocks
from harness.runner.cell import failure, now
from harness.runner.cell_runner import OnEvent, Settings, is_due
from harness.runner.certificates import Due, not_certified
from harness.runner.executors.contract import Engine, Outcome, Place, Request, Task, Turn
from harness.runner.executors.flights import RETRIES, Flight, Flights
from harness.runner.executors.live import FOLDER, Listener, live_path
from harness.runner.executors.node import Order
from harness.runner.executors.orders import block_task, cell_task, certificate_task, files_of, threads_here
from harness.runner.executors.travel import receive
from harness.runner.executors.turns import BlockTurn, BlockTurns, CellTurns
from harness.runner.locks import FileLock
from harness.runner.matrix import RESULTS_VERSION

if TYPE_CHECKING:
    from harness.runner.driver import Certificates

TOKEN, LOCK = ".shared-", ".cluster-lock"
BUSY = {"event": "waiting", "message": "another run sends this store's cells to a cluster; waiting for it."}


class ClusterExecutor:
    """What all engines share. One driver at a time sends the cells of a store to a cluster."""

    def __init__(self, engine: Engine, settings: Settings, store: Store, tell: OnEvent) -> None:
        self.engine, self.settings, self.store, self.tell = engine, settings, store, tell
        self.folder = store.path.resolve()
        self.token = f"{TOKEN}{owner()}-{secrets.token_hex(4)}"
        self.run_id = secrets.token_hex(8)
        # Whether files travel with the tasks: one node at least does not see the store.
        self.ship = False
        self.flights = Flights(engine, self._order, self._listener, tell)
        self._closing = contextlib.ExitStack()
        self._closing.callback(engine.close)
        self._lock: FileLock | None = None
        self._waited = False

    def machine(self, *, gpus: bool) -> str:
        """The kind of machine that most nodes are of, of those with GPUs where there are any and they are wanted."""
        self._ask()
        known = self.flights.machines
        places = [place for place in self.engine.places() if place.id in known]
        fitting = [place for place in places if place.gpus] if gpus else []
        slugs = [known[place.id] for place in fitting or places]
        if not slugs:
            raise SpecError("the cluster has no node that fits.", where="--executor")
        return max(sorted(set(slugs)), key=slugs.count)

    def certify(self, certificates: Certificates) -> None:
        self._begin()
        missing = certificates.due()
        waiting = list(reversed(missing))

        def following() -> Flight | None:
            if not waiting:
                return None
            item, began = waiting.pop(), time.monotonic()
            place = {"key": item.key, "title": item.title, "index": len(missing) - len(waiting), "of": len(missing)}
            return Flight(certificate_task(item, self.settings, self.engine.places()),
                          lambda outcome: self._certified(item, place, began, outcome),
                          lambda: self.tell({"event": "certifying", **place}))

        self.flights.fly(following)

    def run(self, turns: Sequence[Turn], *, alone: bool) -> None:
        self._begin()
        if self._waited:
            # Another driver may have run some meanwhile.
            turns = [turn for turn in turns if is_due(self.store.get(turn.cell.id), self.settings)]
        order = CellTurns(turns)

        def following() -> Flight | None:
            turn = order.next()
            if turn is None:
                return None
            cell, started, began = turn.cell, now(), time.monotonic()

            def landed(outcome: Outcome) -> None:
                self._finished(turn, started, began, outcome)
                order.ended(cell.id)

            return Flight(cell_task(turn, self.settings, self.engine.places(), alone=alone), landed, lambda: self.tell({
                "event": "cell_started", "id": cell.id, "title": cell.title, "index": turn.place[0],
                "of": turn.place[1], "labels": dict(cell.labels), "backend": cell.backend}))

        self.flights.fly(following)

    def time(self, blocks: Blocks) -> None:
        self._begin()
        order = BlockTurns(blocks)
        missing = order.missing()
        self.tell({"event": "blocks", "settings": len(missing), "blocks": sum(missing.values()), "open": missing})

        def following() -> Flight | None:
            turn = order.next()
            if turn is None:
                return None
            started = now()

            def landed(outcome: Outcome) -> None:
                self._timed(blocks, turn, started, outcome)
                order.ended(turn)

            return Flight(block_task(turn, blocks, self.settings, self.engine.places(), self.run_id), landed,
                          lambda: blocks.begun(turn.setting, turn.number, turn.before))

        self.flights.fly(following)

    def close(self) -> None:
        with self._closing:
            self.flights.cancel()

    def _begin(self) -> None:
        """Takes the store, and makes sure of the nodes."""
        if self._lock is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / LOCK)
            self._closing.callback(self._lock.close)
            self._closing.enter_context(self._lock.held(self._wait))
            shutil.rmtree(self.folder / FOLDER, ignore_errors=True)
        self._lay_token()
        if not self.engine.shares:
            self._ask()

    def _wait(self) -> None:
        self._waited = True
        self.tell(dict(BUSY))

    def _ask(self) -> None:
        """Asks every new node what it is, and whether it sees the store."""
        self._lay_token()
        places = [place for place in self.engine.places() if place.id not in self.flights.machines]
        self.flights.to([self._question(place) for place in places])

    def _question(self, place: Place) -> Flight:
        task = Task(f"machine {place.id}", "machine", {}, Request(0))
        return Flight(task, lambda outcome: self._answered(place, outcome), place=place)

    def _answered(self, place: Place, outcome: Outcome) -> None:
        if outcome.lost is not None:
            return  # it died a moment ago; one that comes back is asked again
        if outcome.value is None:
            raise HarnessError(f"the node {place.id} cannot run cells: {outcome.error}")
        said, node = outcome.value["value"], outcome.value["node"]
        if said["results_version"] != RESULTS_VERSION:
            raise SpecError(f"the harness on the node {node} is another version: its results are "
                            f"{said['results_version']}, these are {RESULTS_VERSION}.", where="--executor",
                            hint="Install the same version on every node.")
        if not said["shared"] and self.engine.shares:
            raise SpecError(f"the node {node} does not see the folder {self.folder}.", where="--out",
                            hint="Choose a folder that every node sees under the same path.")
        self.ship = self.ship or not said["shared"]
        self.flights.machines[place.id] = said["machine"]

    def _lay_token(self) -> None:
        """A node that finds it sees the store."""
        token = self.folder / self.token
        if token.is_file():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(f"{TOKEN}*"):
            if stale(path):
                path.unlink(missing_ok=True)
        token.touch()
        self._closing.callback(token.unlink, missing_ok=True)

    def _listener(self, task: Task) -> Listener | None:
        return None if self.ship or task.kind == "machine" else Listener(live_path(self.folder, task.key))

    def _order(self, task: Task) -> Mapping[str, Any]:
        lock = self.settings.lock
        path = tuple(folder for folder in sys.path if folder and Path(folder).is_dir())
        return asdict(Order(
            task.kind, task.content, str(self.folder), self.token, self.ship,
            files_of(self.folder, task) if self.ship else {}, threads_here(), path,
            None if lock is None else str(Path(lock).resolve()), task.key))

    def _finished(self, turn: Turn, started: str, began: float, outcome: Outcome) -> None:
        """A cell's record is in the store, one that says why there is none included."""
        cell = turn.cell
        if outcome.value is not None:
            receive(self.folder, outcome.value["files"])
        record = None if outcome.value is None else self.store.get(cell.id)
        if record is None:
            reason = _reason(outcome)
            write_record(self.store.folder(cell.id), failure(cell, started, reason), {}, {})
        status, found = ("failed", reason) if record is None else (record.status, record.reason)
        self.tell({"event": "cell_finished", "id": cell.id, "title": cell.title, "status": status,
                   "reason": None if found is None else {key: found.get(key) for key in ("kind", "message")},
                   "seconds": time.monotonic() - began})

    def _certified(self, item: Due, place: Mapping[str, Any], began: float, outcome: Outcome) -> None:
        if outcome.value is None:
            made = not_certified(item.cell, _reason(outcome)["message"])
        else:
            made = Certificate.from_data(outcome.value["value"])
        made = replace(made, key=item.key)
        write_certificate(self.store.path, item.key, {**made.to_data(), "made_at": now()})
        self.tell({"event": "certified", **place, "label": made.label, "sentence": made.sentence,
                   "seconds": time.monotonic() - began})

    def _timed(self, blocks: Blocks, turn: BlockTurn, started: str, outcome: Outcome) -> None:
        """A block is in the store, with both halves or with the reason why there are none."""
        pair = turn.setting.pair
        if outcome.value is not None:
            receive(self.folder, outcome.value["files"])
            block = outcome.value["value"]["block"]
        else:
            block = {"setting": pair.id, "number": turn.number, "order": list(pair.backends), "status": FAILED,
                     "reason": _reason(outcome), "cell": dict(pair.content), "started_at": started,
                     "seed": pair.cells[pair.backends[0]].seed, "finished_at": now(), "seconds": 0.0,
                     "machine": {"machine": blocks.machine}, "programs": {}, "halves": {}}
        write_block(self.store.path, block)
        blocks.ended(turn.setting, block, turn.before)


def _reason(outcome: Outcome) -> dict[str, Any]:
    if outcome.lost is None:
        return {"kind": outcome.kind or "error", "message": outcome.error or "its node left no whole record."}
    return {"kind": outcome.kind or "killed",
            "message": f"the cluster lost it {RETRIES + 1} times; the last time: {outcome.lost}"}
