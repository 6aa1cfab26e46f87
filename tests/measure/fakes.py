"""A session that computes nothing on a device that is only asked, and a clock that moves when it is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np

from harness import Input, Model, layers
from harness.backends.contract import Played, State
from harness.plan.binding import Arrays
from harness.plan.compiler import compile_phase
from harness.plan.plan import Plan
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

CONDITIONS = {
    "backend": "pytorch", "device": "cpu",
    "precision": {"wanted": "float32", "matmul": "float32", "convolution": "float32"},
    "threads": {"wanted": 1, "intra": 1, "inter": 1, "affinity": [0]},
    "determinism": True, "allocator": {"growth": None}, "compile": {"wanted": "auto", "active": "none"},
    "environment": {},
}


class Clock:
    """Seconds that pass by `now += ...`. unfinished: what the device still had to do at each reading."""

    def __init__(self) -> None:
        self.now, self.pending = 0.0, 0.0
        self.unfinished: list[float] = []

    def __call__(self) -> float:
        self.unfinished.append(self.pending)
        return self.now


class Session:
    """Every step takes the next of `seconds`, the first one of each batch size compile_seconds more. The device works
    while nobody waits: asking for a step takes `launch` of the host's time.

    barrier: whether `wait` waits. learns: whether the weights move. losses: step of the tape -> loss.
    """

    model = None
    data_path = "compute"

    def __init__(
        self, plan: Plan, clock: Clock, seconds: Iterator[float] | float = 0.01, compile_seconds: float = 3.0,
        launch: float = 0.0, *, barrier: bool = True, learns: bool = True,
        losses: Callable[[int, int], float] = lambda step, played: 1.0 + 1.0 / (1 + played),
    ) -> None:
        self.plan, self.clock, self.launch = plan, clock, launch
        self.seconds = repeat(seconds) if isinstance(seconds, (int, float)) else seconds
        self.compile_seconds, self.barrier, self.learns, self.losses = compile_seconds, barrier, learns, losses
        self.asked: list[tuple[int, int]] = []
        self.compiled: set[int] = set()
        self.kept: list[float] = []
        self.collected_at: list[float] = []
        self.played, self.weight, self.told, self.closed, self.answers = 0, 0.0, 0, False, 0

    def train(self, start: int, stop: int) -> None:
        self.asked.append((start, stop))
        for step in range(start, stop):
            size = int(self.plan.tape.sizes[step])
            self.clock.pending += next(self.seconds) + (0.0 if size in self.compiled else self.compile_seconds)
            self.clock.now += self.launch
            self.compiled.add(size)
            self.kept.append(self.losses(step, self.played))
            self.played += 1
        self.weight += (stop - start) * self.learns

    def wait(self) -> None:
        if self.barrier:
            self.clock.now, self.clock.pending = self.clock.now + self.clock.pending, 0.0

    def collect(self) -> Played:
        self.collected_at.append(self.clock.now)
        kept, self.kept = self.kept, []
        return Played(np.array(kept, float), None)

    def compilation(self) -> dict[str, Any]:
        before, self.told = self.told, len(self.compiled)
        return {"compiler": "graph", "wanted": "graph", "programs": self.told,
                "recompiles": self.told - before,
                "graph_breaks": None, "seconds": None, "fallback": None}

    def state(self) -> State:
        return State({name.name: np.full(name.shape, self.weight) for name in self.plan.trainable}, {}, self.played)

    def load(self, state: State) -> None:
        self.weight, self.played = float(next(iter(state.weights.values())).flat[0]), state.iterations

    def readback(self) -> dict[str, np.ndarray]:
        return {"indices": self.plan.tape.indices}

    def evaluate(self, arrays: Arrays, batch_size: int) -> tuple[float, tuple[np.ndarray, ...]]:
        self.clock.now += 0.125
        return 0.0, (np.zeros((len(arrays), 2)),)

    def inference(self, batch_size: int) -> Callable[[], None]:
        def call() -> None:
            self.answers += 1
            self.clock.now += 0.002 * batch_size
        return call

    def peak_bytes(self) -> int | None:
        return None

    def program(self) -> str:
        return "fake loop"

    def close(self) -> None:
        self.closed = True


class Backend:
    """Opens sessions with the arguments given, which takes 7 seconds."""

    name = "fake"

    def __init__(self, clock: Clock, **arguments: Any) -> None:
        self.clock, self.arguments = clock, arguments
        self.sessions: list[Session] = []

    def versions(self) -> dict[str, str]:
        return {"fake": "1"}

    def open(self, plan: Plan, state: State, data: Arrays, execution: Any) -> Session:
        self.clock.now += 7.0
        session = Session(plan, self.clock, **self.arguments)
        self.sessions.append(session)
        return session


def dense() -> ModelSpec:
    x = Input((3,), name="x")
    return Model(x, layers.Dense(2, name="d")(x), name="dense")


def plan_of(examples: int = 20, epochs: int = 3, batch_size: int = 8, spec: ModelSpec | None = None) -> Plan:
    """By default batches of 8, 8 and 4 examples, three epochs."""
    recipe = Recipe(loss={"SparseCategoricalCrossentropy": {"from_logits": True}}, batch_size=batch_size, epochs=epochs)
    phase = recipe.resolved_phases()[0]
    return compile_phase(spec or dense(), phase, index=0, examples=examples, seed=0)


def arrays_of(examples: int = 20) -> Arrays:
    return Arrays({"x": np.zeros((examples, 3), np.float32)}, {"d": np.zeros(examples, np.int32)})
