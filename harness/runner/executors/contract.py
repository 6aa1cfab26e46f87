"""What an executor is, and what a cluster's engine is: the two boundaries of this folder.

    driver -> Executor: LocalExecutor (local.py)
                        ClusterExecutor (cluster.py) -> Engine: RayEngine (on_ray.py), SlurmEngine (on_slurm.py)

An executor runs the cells and blocks that a driver hands it. An engine only brings tasks to nodes and says how they
ended; what a node does with one stands in node.py and is the same for all engines.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from harness.runner.dependencies import Need
from harness.runner.matrix import Cell

if TYPE_CHECKING:
    from harness.runner.blocks import Blocks
    from harness.runner.driver import Certificates


@dataclass(frozen=True, eq=False)
class Turn:
    """A cell that is to be run. place: (its number, of how many)."""

    cell: Cell
    needed: Sequence[Need]
    place: tuple[int, int]


class Executor(Protocol):
    """Runs what a driver finds due; a call comes back when all of it has ended, in records, certificates and blocks."""

    def machine(self, *, gpus: bool) -> str:
        """The slug of the machines that blocks are timed on (records/environment.py). gpus: whether one may be wanted.
        """

    def certify(self, certificates: Certificates) -> None:
        """Makes the certificates that are missing."""

    def run(self, turns: Sequence[Turn], *, alone: bool) -> None:
        """Runs the cells, each after those that it needs. alone: none of them beside another on its machine."""

    def time(self, blocks: Blocks) -> None:
        """Times blocks until no setting wants any more."""

    def close(self) -> None:
        """Ends all that still runs."""


@dataclass(frozen=True)
class Request:
    """What a task needs of one node. cpus: logical cores, None for the whole node to itself; gpus: whole devices;
    machine: the slug that the node must have, None for any."""

    cpus: int | None = 1
    gpus: int = 0
    machine: str | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """The unit of placement: one cell, one certificate, or one block with both of its halves, on one node.

    kind: one of node.KINDS. content: what JSON can hold. inputs: files of the store that it reads.
    """

    key: str
    kind: str
    content: Mapping[str, Any]
    request: Request = field(default_factory=Request)
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """A node that tasks can be sent to. machine: its slug, None where it was not asked yet."""

    id: str
    cpus: int
    gpus: int = 0
    machine: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a task ended. value: what the node gave back. lost: why there is nothing, where that is the cluster's doing
    (a worker or a node died) and not the task's; error: what the node's own code raised. kind: of a record's reason,
    where it is known better than "killed" and "error".
    """

    value: Mapping[str, Any] | None = None
    lost: str | None = None
    error: str | None = None
    kind: str | None = None


class Engine(Protocol):
    """Brings orders (node.Order, as plain data) to nodes. It never repeats one by itself."""

    shares: bool

    def places(self) -> list[Place]:
        """The nodes that are alive and fit the user's placement; machine is filled in by who asks."""

    def room(self, request: Request, places: Sequence[Place]) -> int:
        """How many tasks with that request may be under way at one time on these places; 0 if none ever fits."""

    def submit(self, order: Mapping[str, Any], request: Request, place: Place | None) -> Hashable:
        """Sends an order to a place, or to any that fits; gives a handle."""

    def ended(self, handles: Collection[Hashable], seconds: float) -> list[Hashable]:
        """Those that have ended, waiting so long for the first."""

    def outcome(self, handle: Hashable) -> Outcome:
        """Of one that has ended."""

    def cancel(self, handles: Collection[Hashable]) -> None:
        """Ends them at once."""

    def close(self) -> None:
        """Leaves the cluster."""
