"""Tasks under way on a cluster: as many as there is room for, and once more what the cluster lost.

A task is repeated only where its worker or its node died. How a cell or a block itself ends, by a NaN, a time-out or a
crash of its child, is a result like any other (runner/workers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import SpecError
from harness.runner.cell_runner import OnEvent
from harness.runner.executors.contract import Engine, Outcome, Place, Request, Task
from harness.runner.executors.live import BEGUN, Listener

# So often a task is sent off again after the cluster lost it.
RETRIES = 3
POLL_SECONDS = 1.0


@dataclass(eq=False)
class Flight:
    """A task under way. landed: takes in how it ended; begun: called once a node has begun with it, or it is sent off
    where that is not heard; place: where to, None for wherever there is room; attempts: how often it was sent off;
    listener: hears the node; avoid: the places that lost it."""

    task: Task
    landed: Callable[[Outcome], None]
    begun: Callable[[], None] = lambda: None
    place: Place | None = None
    attempts: int = 0
    listener: Listener | None = None
    has_begun: bool = False
    avoid: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Says once that it has begun."""
        if not self.has_begun:
            self.has_begun = True
            self.begun()


@dataclass(eq=False)
class Flights:
    """order: task -> what its node is sent; listen: task -> what hears its node, None where nothing is to be heard.
    machines: place -> its slug, as far as places were asked."""

    engine: Engine
    order: Callable[[Task], Mapping[str, Any]]
    listen: Callable[[Task], Listener | None]
    tell: OnEvent
    machines: dict[str, str] = field(default_factory=dict)
    flying: dict[Hashable, Flight] = field(default_factory=dict)

    def fly(self, following: Callable[[], Flight | None]) -> None:
        """Sends off what `following` gives while there is room, until it gives nothing and all have ended.

        What has ended may make more follow: it is asked again then. Raises SpecError where no node has what a task
        needs.
        """
        again: list[Flight] = []
        while True:
            while True:
                flight = again.pop(0) if again else following()
                if flight is None:
                    break
                if not self._send(flight):
                    again.insert(0, flight)
                    break
            if not self.flying:
                if again:
                    raise self._nowhere(again[0].task)
                return
            for flight, outcome in self._ended():
                if outcome.lost is None or flight.attempts > RETRIES:
                    self._land(flight, outcome)
                else:
                    self.tell({"event": "redone", "task": flight.task.key, "attempt": flight.attempts + 1,
                               "message": outcome.lost})
                    if flight.place is not None:
                        flight.avoid.add(flight.place.id)
                    again.append(flight)

    def to(self, flights: list[Flight]) -> None:
        """Sends every flight to its own place, once, and waits for all."""
        for flight in flights:
            self._submit(flight, flight.place)
        while self.flying:
            for flight, outcome in self._ended():
                flight.landed(outcome)

    def cancel(self) -> None:
        """Ends all that is under way."""
        if self.flying:
            self.engine.cancel(list(self.flying))
            self.flying.clear()

    def _land(self, flight: Flight, outcome: Outcome) -> None:
        self._hear(flight)
        flight.begin()
        if flight.listener is not None:
            flight.listener.close()
        flight.landed(outcome)

    def _hear(self, flight: Flight) -> None:
        for event in () if flight.listener is None else flight.listener():
            flight.begin()
            if event["event"] != BEGUN["event"]:
                self.tell(event)

    def _ended(self) -> list[tuple[Flight, Outcome]]:
        handles = self.engine.ended(list(self.flying), POLL_SECONDS)
        for flight in self.flying.values():
            self._hear(flight)
        found = [(self.flying.pop(handle), self.engine.outcome(handle)) for handle in handles]
        if found:
            return [(flight, _judged(flight, outcome)) for flight, outcome in found]
        # An engine waits for ever for a node that will not come back.
        stranded = [handle for handle, flight in self.flying.items() if not self._fitting(flight.task.request)
                    and flight.task.request.cpus != 0]
        self.engine.cancel(stranded)
        return [(self.flying.pop(handle), Outcome(lost="no node is left that fits")) for handle in stranded]

    def _send(self, flight: Flight) -> bool:
        """Sends it off; False where it has to wait until another one has ended."""
        request = flight.task.request
        fitting = self._fitting(request)
        if self.engine.room(request, fitting) <= len(self.flying):
            return False
        self._submit(flight, self._free(flight, fitting))
        return True

    def _submit(self, flight: Flight, place: Place | None) -> None:
        flight.attempts += 1
        flight.place = place
        if flight.attempts == 1:
            flight.listener = self.listen(flight.task)
            if flight.listener is None:
                flight.begin()
        self.flying[self.engine.submit(self.order(flight.task), flight.task.request, place)] = flight

    def _fitting(self, request: Request) -> list[Place]:
        places = [replace(place, machine=self.machines.get(place.id)) for place in self.engine.places()]
        return [place for place in places if request.machine in (None, place.machine) and place.gpus >= request.gpus
                and place.cpus >= (request.cpus or 0)]

    def _free(self, flight: Flight, places: list[Place]) -> Place | None:
        """For a task that wants a node to itself, the one with the fewest of ours; else the engine's choice."""
        if flight.task.request.cpus is not None:
            return None
        on = [other.place.id for other in self.flying.values() if other.place is not None]
        # A node that did not answer, or lost this task before, may be dead without the cluster knowing it yet.
        return min(places, key=lambda place: (place.id in flight.avoid, self._is_silent(place), on.count(place.id)))

    def _is_silent(self, place: Place) -> bool:
        return bool(self.machines) and place.machine is None

    def _nowhere(self, task: Task) -> SpecError:
        request = task.request
        wanted = [f"{request.cpus} CPUs" if request.cpus else "a node to itself",
                  *([f"{request.gpus} GPU"] if request.gpus else []),
                  *([f"of the kind {request.machine}"] if request.machine else [])]
        has = "; ".join(f"{place.id[:12]}: {place.cpus} CPUs, {place.gpus} GPUs" for place in self.engine.places())
        return SpecError(f"no node of the cluster has what {task.key!r} needs: {', '.join(wanted)}.",
                         where="--executor", hint=f"It has {has or 'no node that fits'}. What is finished is kept.")


def _judged(flight: Flight, outcome: Outcome) -> Outcome:
    """A node of another kind than was asked for has not done the task."""
    elsewhere = ((outcome.value or {}).get("value") or {}).get("elsewhere")
    if elsewhere is None:
        return outcome
    return Outcome(lost=f"it came to a machine {elsewhere}, and these blocks are timed on "
                        f"{flight.task.request.machine}; name the hardware with --placement")
