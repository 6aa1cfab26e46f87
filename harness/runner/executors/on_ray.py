"""Ray as an engine: an order is a Ray task, placed by Ray, never repeated by it.

Ray counts what a task asks for and keeps the sum on a node below what the node has. A task that wants a node to itself
asks for all of its CPUs. GPUs are asked for whole; Ray names them in CUDA_VISIBLE_DEVICES.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

from harness.errors import HarnessError, SpecError
from harness.runner.executors.contract import Outcome, Place, Request
from harness.runner.executors.node import perform

# Until a host that does not answer is taken to be unreachable.
CONNECT_SECONDS = 10.0


class RayEngine:
    """address: "host:port" of the head node; None for RAY_ADDRESS, a cluster on this machine, or one started here.
    labels: what nodes must have (`ray start --labels`; accelerator types are there by themselves).

    Raises SpecError where the cluster cannot be reached.
    """

    shares = False

    def __init__(self, address: str | None, labels: Mapping[str, str]) -> None:
        import ray

        self.labels = _full(labels)
        self.ray: Any = ray
        self.own = not ray.is_initialized()
        if self.own:
            _connect(ray, address)
        # The process that runs orders holds no framework: it need not end after a task with a GPU, as Ray's own do.
        self.perform = ray.remote(max_retries=0, max_calls=0)(perform)

    def places(self) -> list[Place]:
        found = []
        for node in self.ray.nodes():
            labels, resources = node.get("Labels") or {}, node.get("Resources") or {}
            cpus = int(resources.get("CPU", 0))
            if node["Alive"] and cpus and all(labels.get(key) == value for key, value in self.labels.items()):
                found.append(Place(node["NodeID"], cpus, int(resources.get("GPU", 0))))
        return sorted(found, key=lambda place: place.id)

    def room(self, request: Request, places: Sequence[Place]) -> int:
        if request.cpus is None:
            return len(places)
        by_cpu = [place.cpus // max(1, request.cpus) for place in places]
        by_gpu = [place.gpus // request.gpus if request.gpus else cpus for place, cpus in zip(places, by_cpu)]
        return sum(min(pair) for pair in zip(by_cpu, by_gpu))

    def submit(self, order: Mapping[str, Any], request: Request, place: Place | None) -> Hashable:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        cpus = request.cpus
        if cpus is None:
            cpus = place.cpus if place is not None else 1
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": request.gpus, "name": str(order["kind"])}
        if place is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(place.id, soft=False)
        elif self.labels:
            options["label_selector"] = dict(self.labels)
        handle: Hashable = self.perform.options(**options).remote(order)
        return handle

    def ended(self, handles: Collection[Hashable], seconds: float) -> list[Hashable]:
        waiting = list(handles)
        try:
            ready, _ = self.ray.wait(waiting, num_returns=1, timeout=seconds)
            if ready:
                ready, _ = self.ray.wait(waiting, num_returns=len(waiting), timeout=0)
        except (self.ray.exceptions.RayError, ConnectionError) as error:
            raise HarnessError(f"the connection to the Ray cluster is lost: {_first_line(error)}. What is finished is "
                               "kept; run the same command again to go on.") from None
        return list(ready)

    def outcome(self, handle: Hashable) -> Outcome:
        errors = self.ray.exceptions
        try:
            return Outcome(value=self.ray.get(handle))
        except errors.OutOfMemoryError as error:
            return Outcome(lost=_first_line(error), kind="out_of_memory")
        except errors.RayTaskError as error:
            return Outcome(error=_first_line(error.cause or error))
        except (errors.TaskCancelledError, errors.RuntimeEnvSetupError) as error:
            return Outcome(error=_first_line(error))
        except errors.RayError as error:  # a worker or a node died, its result was lost, Ray itself broke
            return Outcome(lost=f"{type(error).__name__}: {_first_line(error)}")

    def cancel(self, handles: Collection[Hashable]) -> None:
        for handle in handles:
            self.ray.cancel(handle, force=True)

    def close(self) -> None:
        if self.own:
            self.ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    wanted = address or os.environ.get("RAY_ADDRESS")
    _reach(wanted)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _to_stderr()
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR",
                 include_dashboard=None if wanted else False)
    except Exception as error:  # ConnectionError, RuntimeError of another Python or Ray, ValueError of no address
        raise SpecError(
            f"there is no Ray cluster to connect to: {_first_line(error)}",
            where=f"--address {wanted}" if wanted else "--executor ray",
            hint="Start one with `ray start --head`, or say --address HOST:PORT of its head node.",
        ) from None


def _to_stderr() -> None:
    """Ray prints to stdout what happens to its processes, where only the answer of a command belongs."""
    from ray._private import worker as module

    worker: Any = module
    plain = getattr(worker, "print_to_stdstream", None)
    if plain is not None and not hasattr(plain, "to_stderr"):
        def told(batch: dict[str, Any], *arguments: Any, **options: Any) -> Any:
            return plain({**batch, "is_err": True}, *arguments, **options)

        told.to_stderr = True  # type: ignore[attr-defined]
        worker.print_to_stdstream = told


def _reach(address: str | None) -> None:
    """Ray itself tries for a minute."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SpecError(f"nothing answers at {address}: {error}.", where="--address",
                        hint="Is the cluster up? `ray start --head` says its address (port 6379).") from None


def _full(labels: Mapping[str, str]) -> dict[str, str]:
    """ "accelerator-type" is what Ray calls "ray.io/accelerator-type"."""
    own = ("accelerator-type", "market-type", "node-group", "node-id", "availability-zone", "availability-region")
    return {f"ray.io/{key}" if key in own else key: value for key, value in labels.items()}


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
