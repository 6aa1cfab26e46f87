"""What a node does with an order: in a plain process that imports no framework and holds fork servers of its own.

The process is a Ray worker or a Slurm job. It keeps its servers from one order to the next, and dies with all that it
started: the servers end when this process does, and their children with them (runner/server.py).

Where the node sees the store's folder, records go straight into it; where it does not, everything happens in a
temporary folder, and the files go back with the answer (travel.py).
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.records.environment import environment
from harness.records.store import Store
from harness.runner.cell_runner import CellRunner, Settings
from harness.runner.certificates import certificate_of_cell
from harness.runner.dependencies import Need
from harness.runner.executors.live import BEGUN, Teller, live_path
from harness.runner.executors.travel import pack, put
from harness.runner.locks import FileLock, machine_lock_path
from harness.runner.matrix import RESULTS_VERSION, Cell
from harness.runner.timed_block import Halves, Pair
from harness.runner.workers import Workers
from harness.spec.timing import Timing

# A node's processes have in these what the driver has, whatever the cluster set: Ray gives every worker an
# OMP_NUM_THREADS, which PyTorch obeys and TensorFlow does not.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
           "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
DEVICES = "CUDA_VISIBLE_DEVICES"
Event = dict[str, Any]


@dataclass
class Node:
    """The lock of this machine, fork servers, and what was found out of each run's settings."""

    lock: FileLock
    key: tuple[Any, ...]
    workers: Workers = field(init=False)
    halves: dict[str, Halves] = field(default_factory=dict)
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    certifiers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workers = Workers((self.lock.descriptor,))

    def certifier(self, name: str) -> Any:
        """Opened once, and kept with its workers."""
        if name not in self.certifiers:
            self.certifiers[name] = self.closing.enter_context(loaded(name)())
        return self.certifiers[name]

    def close(self) -> None:
        self.closing.close()
        self.workers.close()
        self.lock.close()


@dataclass(frozen=True)
class Order:
    """A task on its way. store: the folder, as the driver names it; token: a file that lies in it; ship: whether files
    travel, because not every node sees that folder; inputs: those that the task reads; threads: the driver's THREADS;
    path: its sys.path; lock: of the machine, None for the usual one; key: the task's."""

    kind: str
    content: Mapping[str, Any]
    store: str
    token: str
    ship: bool = False
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    threads: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    lock: str | None = None
    key: str = ""

    def teller(self) -> Teller:
        """Tells the driver what happens, where it can."""
        teller = Teller(None if self.ship else live_path(Path(self.store), self.key))
        teller(BEGUN)
        return teller


_held: dict[str, Node] = {}


def perform(order: Mapping[str, Any]) -> dict[str, Any]:
    """Does what an order says. order: the fields of Order. Gives {"value", "files", "node"}."""
    found = Order(**order)
    sys.path += [folder for folder in found.path if folder not in sys.path]
    for name in THREADS:
        if name in found.threads:
            os.environ[name] = found.threads[name]
        else:
            os.environ.pop(name, None)
    with _folder(found) as out:
        value = KINDS[found.kind](found, out)
        files = pack(out, found.inputs) if found.ship else {}
    return {"value": value, "files": files, "node": socket.gethostname()}


def release() -> None:
    """Ends the servers of this process."""
    while _held:
        _held.popitem()[1].close()


atexit.register(release)


def name_of(function: Callable[..., Any]) -> str:
    """ "module:name", by which another process finds a function. Raises HarnessError for one that it would not find."""
    name = f"{function.__module__}:{function.__qualname__}"
    if "<" in name:
        raise HarnessError(f"{name} stands inside a function: no other process finds it.")
    return name


def loaded(name: str) -> Any:
    """What `name_of` named."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


@contextlib.contextmanager
def _folder(order: Order) -> Iterator[Path]:
    if not order.ship:
        yield Path(order.store)
        return
    with tempfile.TemporaryDirectory(prefix="harness-node-", ignore_cleanup_errors=True) as name:
        put(Path(name), order.inputs)
        yield Path(name)


def _node(order: Order) -> Node:
    """This process's, made anew where devices or threads are others: servers have the environment of their start."""
    key = (order.lock, os.environ.get(DEVICES), *(os.environ.get(name) for name in THREADS))
    held = _held.get("node")
    if held is None or held.key != key:
        release()
        held = _held["node"] = Node(FileLock(Path(order.lock) if order.lock else machine_lock_path()), key)
    return held


def _machine(order: Order, out: Path) -> dict[str, Any]:
    """What the driver asks of every node first."""
    return {"machine": environment()["machine"], "shared": (Path(order.store) / order.token).is_file(),
            "results_version": RESULTS_VERSION}


def _see_the_store(order: Order) -> None:
    if not order.ship and not (Path(order.store) / order.token).is_file():
        raise HarnessError(f"{socket.gethostname()} does not see the folder {order.store} that the driver writes to.")


def _cell(order: Order, out: Path) -> dict[str, Any]:
    """One cell to its record, failures included; gives how it ended, as the event "cell_finished" has it."""
    _see_the_store(order)
    said, node = order.content, _node(order)
    cell = Cell.from_data(said["cell"])
    if cell.id != said["id"]:
        raise HarnessError(f"on {socket.gethostname()} the cell {said['id']} is {cell.id}: files that it reads are "
                           f"missing or differ there (folder {said['cell']['folder']}), or the harness is another one.")
    needed = [Need(item["backend"], item["after"], Cell.from_data(item["twin"])) for item in said["needed"]]
    ends: list[Event] = []
    teller = order.teller()

    def tell(event: Event) -> None:
        teller(event)
        if event["event"] == "cell_finished":
            ends.append(event)

    settings = Settings(function=said["function"], retry_failed=said["retry_failed"], timeout=said["timeout"],
                        backend_of=lambda cell: str(said["worker"]))
    runner = CellRunner(cell, needed, Store(out), settings, node.workers, tell, tuple(said["place"]))
    with node.lock.held(shared=said["shared"]):
        node.workers.start({said["worker"]})
        runner()
    return ends[-1]


def _certificate(order: Order, out: Path) -> dict[str, Any]:
    """A certificate as plain data."""
    _see_the_store(order)
    node, cell, tell = _node(order), Cell.from_data(order.content["cell"]), order.teller()
    with node.lock.held():
        made = certificate_of_cell(cell, node.certifier(order.content["certifier"]), tell)
    return made.to_data()


def _block(order: Order, out: Path) -> dict[str, Any]:
    """Both halves of a block, alone on this machine; {"elsewhere": slug} where it is another one than was asked for."""
    _see_the_store(order)
    said, node, machine = order.content, _node(order), str(environment()["machine"])
    if said["machine"] not in (None, machine):
        return {"elsewhere": machine}
    pair = Pair(said["setting"], said["title"], {name: Cell.from_data(data) for name, data in said["cells"].items()},
                said["pair"])
    with node.lock.held():
        node.workers.start(said["workers"].values())
        halves = _halves(node, said, machine, out)
        halves.tell = order.teller()
        block = halves.block(pair, said["number"])
        halves.search_batches(pair, block)
    return {"block": block}


def _halves(node: Node, said: Mapping[str, Any], machine: str, out: Path) -> Halves:
    """Kept from block to block of one run: programs and conditions are found out once."""
    names = said["jobs"]
    if said["run"] not in node.halves:
        node.halves[said["run"]] = Halves(
            Timing.parse(said["timing"]) or Timing(), lambda cell: node.workers.get(said["workers"][cell.backend]),
            machine, out, lambda event: None, names["function"], names["conditions"], names["ceiling"],
            loaded(names["unfair"]), None if names["pilot"] is None else loaded(names["pilot"]), said["timeout"],
            largest_batch=names["largest_batch"], cold=said["cold"])
    halves = node.halves[said["run"]]
    halves.out = out
    return halves


KINDS: dict[str, Callable[[Order, Path], dict[str, Any]]] = {
    "machine": _machine, "cell": _cell, "certificate": _certificate, "block": _block,
}
