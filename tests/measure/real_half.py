"""Times halves with a real backend, and prints what they found: python real_half.py BACKEND"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from harness import Sequential, layers
from harness.backends import load_backend
from harness.backends.contract import State
from harness.data import from_arrays
from harness.measure.half import HalfJob, measure_half
from harness.plan.binding import bind
from harness.plan.compiler import compile_phase
from harness.plan.finetune import starting_weights
from harness.spec.execution import Execution
from harness.spec.recipe import Recipe
from harness.spec.timing import Timing


def measured(name: str) -> dict[str, Any]:
    """Tier -> its half, and what a second session said."""
    backend = load_backend(name)
    spec = Sequential([layers.Dense(16, activation="relu", input_shape=(8,)), layers.BatchNormalization(),
                       layers.Dropout(0.5), layers.Dense(3, activation="softmax")])
    rng = np.random.default_rng(0)
    data = from_arrays(rng.random((72, 8), np.float32), rng.integers(0, 3, 72))
    recipe = Recipe(loss="sparse_categorical_crossentropy", optimizer="adam", epochs=4, batch_size=32)
    phase = recipe.resolved_phases()[0]
    plan = compile_phase(spec, phase, index=0, examples=72, seed=0, dtype="float32")
    state = State(starting_weights(spec, phase, 0, 0, None))
    arrays = bind(data.train, spec, plan.outputs, "float32")
    timing = Timing(window_seconds=0.25, steadiness=0.9, batch_sizes=(1, 4))
    backend.configure(Execution(device="cpu"))
    found: dict[str, Any] = {}
    for tier in ("tuned", "idiomatic"):
        execution = Execution(device="cpu", tier=tier, random="tape")
        found[tier] = measure_half(HalfJob(backend, plan, state, arrays, execution, timing,
                                           conditions=backend.conditions(execution), evaluation=arrays))
        session = backend.open(plan, state, arrays, execution)
        session.train(0, 3)
        before = {key: np.array(value) for key, value in session.state().weights.items()}
        session.inference(5)()
        after = session.state().weights
        session.train(3, 6)
        learned = session.state().weights
        session.collect()
        session.load(State(before))
        session.train(0, 12)
        found[tier] |= {"losses": session.collect().losses.tolist()}
        if (name, tier) == ("tensorflow", "idiomatic"):
            from harness.backends.tensorflow.idiomatic import fits

            found[tier]["fits"] = [fits(plan.tape, 0, 12), fits(plan.tape, 1, 4), fits(plan.tape, 2, 3)]
        found[tier] |= {"inference_keeps": all(np.array_equal(before[key], after[key]) for key in before),
                        "trains_after": not np.array_equal(after["dense/kernel"], learned["dense/kernel"])}
        session.close()
    return found


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
