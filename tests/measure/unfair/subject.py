"""What the planted programs train: a small model with dropout, its plan and its data. No framework."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness import Input, Model, layers
from harness.backends.contract import State
from harness.measure.mode import mode_of
from harness.measure.parity import facts
from harness.plan.binding import Arrays, bind
from harness.plan.compiler import compile_phase
from harness.plan.initial import initial_weights
from harness.plan.plan import Plan
from harness.spec.execution import Execution
from harness.spec.recipe import Recipe

# Batches of 8 and 4.
EXAMPLES, BATCH = 20, 8


def small_model() -> Any:
    image = Input((6,), name="image")
    x = layers.Dense(5, activation="relu", name="hidden")(image)
    return Model(image, layers.Dense(3, activation="softmax", name="label")(layers.Dropout(0.5, name="drop")(x)))


def normalised_model() -> Any:
    image = Input((6,), name="image")
    x = layers.BatchNormalization(name="norm")(layers.Dense(5, name="hidden")(image))
    return Model(image, layers.Dense(3, activation="softmax", name="label")(x))


def plan_and_data(model: Callable[[], Any], batch_size: int = BATCH, dtype: str = "float32") -> tuple[Plan, Arrays]:
    spec = model()
    rng = np.random.default_rng(0)
    split = SimpleNamespace(x={"image": rng.normal(size=(EXAMPLES, 6))}, y={"label": rng.integers(0, 3, EXAMPLES)},
                            sample_weight=None)
    recipe = {"loss": "sparse_categorical_crossentropy", "batch_size": batch_size, "epochs": 2, "optimizer": "adam"}
    plan = compile_phase(spec, Recipe(**recipe).resolved_phases()[0], index=0, examples=EXAMPLES, seed=0, dtype=dtype)
    return plan, bind(split, spec, plan.outputs, dtype)


class Subject:
    """A session of a backend that stands before its first step."""

    def __init__(
        self, backend: Any, *, batch_size: int = BATCH, model: Callable[[], Any] = small_model, **execution: Any,
    ) -> None:
        self.execution = Execution(device="cpu", **execution)
        self.plan, self.data = plan_and_data(model, batch_size, self.execution.dtype)
        state = State(initial_weights(self.plan.spec, 0))
        self.session = backend.open(self.plan, state, self.data, self.execution)

    def facts(self) -> dict[str, Any]:
        return facts(self.plan, self.session, self.execution)

    def mode(self) -> str:
        return mode_of(self.session, self.plan, self.data)

    def played(self, steps: int) -> dict[str, Any]:
        """What the session says of its compilation after some steps of the tape."""
        self.session.train(0, steps)
        self.session.wait()
        return dict(self.session.compilation())


def run(plants: dict[str, Callable[[], Any]]) -> None:
    """The main function of a program of plants: writes {plant: what it found} as JSON into the file that it is given;
    a plant that fails leaves {"error"}."""
    found = {}
    for name, plant in plants.items():
        try:
            found[name] = plant()
        except Exception:
            found[name] = {"error": traceback.format_exc()}
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)
