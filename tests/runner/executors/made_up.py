"""A cluster that is none: its nodes do their orders in this process, at once, and die when they are told to."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from harness.certify.certificate import SAME_TO_ROUNDING
from harness.runner.child import reason
from harness.runner.executors import node
from harness.runner.executors.contract import Outcome, Place
from harness.runner.workers import JobResult
from tests.certify.made_up import certificate

# (the kind of task, its content, the how manieth time): what becomes of it instead of being done, None for nothing.
Fate = Callable[[str, Any, int], Outcome | None]


@contextlib.contextmanager
def certifier():
    """Finds every training the same."""
    def certified(cell, tell):
        tell({"event": "certified_rung", "phase": "pretrain", "rung": "R0", "status": "passed"})
        return certificate(SAME_TO_ROUNDING, cell.model.name)

    yield certified


class InProcess:
    """Runs a worker's jobs here."""

    backend = "none"

    def run(self, job, on_event=None, timeout=None):
        module, _, name = job.function.partition(":")
        try:
            value = getattr(importlib.import_module(module), name)(job.arguments, on_event)
            return JobResult("done", json.loads(json.dumps(value)))
        except Exception as error:
            return JobResult("failed", reason=reason(error))


class InProcessWorkers:
    def __init__(self, descriptors):
        pass

    def start(self, backends):
        pass

    def get(self, backend):
        return InProcess()

    def close(self):
        pass


class MadeUpEngine:
    """machines: place -> its slug. blind: nodes do not see the store. fate: who dies. sent: (kind, content, place) of
    every order; most: the most that were under way at one time, and on one place."""

    shares = False

    def __init__(self, machines=None, cpus=4, blind=False, fate: Fate | None = None, gpus=None):
        self.machines = machines or {"a": "x", "b": "x"}
        self.cpus, self.blind, self.fate, self.gpus = cpus, blind, fate, gpus or {}
        self.sent: list[tuple[str, Any, str | None]] = []
        self.attempts: Counter[str] = Counter()
        self.flying: dict[int, tuple[dict[str, Any], str | None]] = {}
        self.most, self.most_on_one, self.closed, self.cancelled = 0, 0, False, 0

    def places(self):
        return [Place(name, self.cpus, self.gpus.get(name, 0)) for name in sorted(self.machines)]

    def room(self, request, places):
        return len(places) if request.cpus is None else sum(place.cpus // max(1, request.cpus) for place in places)

    def submit(self, order, request, place):
        order = {**order, "store": "/nowhere"} if self.blind else dict(order)
        self.sent.append((order["kind"], order["content"], place and place.id))
        handle = len(self.sent)
        self.flying[handle] = (order, place and place.id)
        self.most = max(self.most, len(self.flying))
        on = Counter(name for _, name in self.flying.values() if name)
        self.most_on_one = max(self.most_on_one, *on.values(), 0) if on else self.most_on_one
        return handle

    def ended(self, handles, seconds):
        return [handle for handle in handles if handle in self.flying][:1]

    def outcome(self, handle):
        order, place = self.flying.pop(handle)
        content = order["content"]
        key = json.dumps([order["kind"], content.get("id"), content.get("setting"), content.get("number")])
        self.attempts[key] += 1
        fate = None if self.fate is None else self.fate(order["kind"], content, self.attempts[key])
        if fate is not None:
            return fate
        if order["kind"] == "machine":
            value = {**node.perform(order)["value"], "machine": self.machines[place or "a"]}
            return Outcome(value={"value": value, "files": {}, "node": place})
        try:
            return Outcome(value=node.perform(order))
        except Exception as error:
            return Outcome(error=str(error))

    def cancel(self, handles):
        self.cancelled += len(handles)
        for handle in list(handles):
            self.flying.pop(handle, None)

    def close(self):
        self.closed = True
