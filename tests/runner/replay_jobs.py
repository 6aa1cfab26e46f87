"""A cell without a framework whose figures follow from its plan: what a training on one thread is to a replay.

HARNESS_TEST_DRIFT, in the environment of the worker: by how much its figures are off, relative; HARNESS_TEST_VERSION:
which version of PyTorch it says that it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

STEPS_TO_LOSS = 1e-3


def planned_cell(arguments: dict[str, Any], emit: Any) -> Any:
    """Plans the cell as a training would, and leaves losses, weights and metrics that follow from the plan."""
    from harness.backends.contract import State
    from harness.data import load
    from harness.errors import CellFailed
    from harness.records.record import write_record
    from harness.runner.cell import data_section, environment_section, now, opening
    from harness.runner.matrix import Cell
    from harness.runner.replay_figures import plans_of
    from harness.training.state import to_tensors

    cell, folder = Cell.from_data(arguments["cell"]), Path(arguments["folder"])
    if cell.seed == 13:
        raise CellFailed("nan_loss", "the loss became nan at step 1.")
    drift = 1 + float(os.environ.get("HARNESS_TEST_DRIFT", "0"))
    states: dict[str, State] = {}

    def after(phase: str) -> State:
        chance = np.random.default_rng([cell.seed, len(states)])
        weights = {weight.name: chance.normal(size=weight.shape) * drift for weight in cell.model.weights}
        states[phase] = State(weights, {}, 7)
        return states[phase]

    plans, losses, phases = plans_of(cell, after), [], []
    for plan in plans:
        first = sum(map(len, losses))
        found = drift * (1.0 + plan.tape.indices[:, 0] * STEPS_TO_LOSS)
        losses.append(found)
        window = {"start": first, "stop": first + len(found), "seconds": 0.01, "warmup": False, "examples": 32}
        phases.append({"name": plan.name, "plan_digest": plan.digest, "program": "made up", "windows": [window],
                       "samples": 32, "best_epoch": None, "stopped_early": False,
                       "epochs": [{"epoch": 1, "loss": float(found[-1]), "val_accuracy": 0.9 * drift}]})
    import hashlib

    digest = hashlib.sha256("".join(phase["plan_digest"] for phase in phases).encode()).hexdigest()
    versions = {"torch": os.environ.get("HARNESS_TEST_VERSION", "2.0")}
    payload = {**opening(cell, now()), "status": "done", "reason": None, "phases": phases, "test": {"loss": 1.0},
               "plan": {"digest": digest}, "data": data_section(load(cell.data, cell.folder)), "timing": {},
               "memory": {}, "environment": environment_section(versions, {"threads": {"intra_op": 1}}),
               "finished_at": now()}
    steps = sum(map(len, losses))
    series = {"loss": np.concatenate(losses), "step": np.arange(steps), "batch_size": np.full(steps, 32)}
    write_record(folder, payload, series, {name: to_tensors(state) for name, state in states.items()})
    return {"id": cell.id}
