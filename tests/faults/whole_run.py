"""A whole training of a host in the child, with a fault or without: what a naive comparison looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.faults.hosts import HOSTS
from tests.faults.mutants import MUTANTS

LOSSES, OUTPUT, WEIGHT = "losses", "output ", "weight "


def job(arguments: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> None:
    """arguments: {"host", "backend", "fault": a name or None, "file"}. Writes, all in float64, "losses" of every step,
    "output NUMBER" on the training data in inference mode, and "weight NAME"."""
    if arguments["fault"] is not None:
        MUTANTS[arguments["fault"]]()
    from harness.backends import load_backend
    from harness.data import from_arrays
    from harness.plan.binding import bind
    from harness.spec.execution import Execution
    from harness.spec.model import ModelSpec
    from harness.spec.recipe import Recipe
    from harness.training.run import Job, train

    host = HOSTS[arguments["host"]]
    x, y, *weight = host.data()
    dataset = from_arrays(x, y, sample_weight=weight[0] if weight else None)
    execution = Execution.parse({"precision": "float64", "compile": "none", "random": "tape"})
    spec, recipe = ModelSpec.from_data(host.model), Recipe.parse(host.whole_recipe())
    training = train(Job(spec, recipe, dataset, load_backend(arguments["backend"]), execution))
    plan = training.plans[-1]
    inputs = bind(dataset.train, plan.spec, plan.outputs, "float64").x
    found = {LOSSES: np.concatenate([losses for phase in training.phases for losses in phase.losses])}
    for number, values in enumerate(_outputs(arguments["backend"], training.model, plan.spec, inputs)):
        found[f"{OUTPUT}{number}"] = values
    found |= {f"{WEIGHT}{name.replace('/', '|')}": array for name, array in training.state.weights.items()}
    np.savez(arguments["file"], **found)


def _outputs(backend: str, model: Any, spec: Any, x: Any) -> tuple[np.ndarray, ...]:
    """Of the live model: another session would start from what a fault makes of its first weights."""
    if backend == "tensorflow":
        from harness.backends.tensorflow.inference import predict as of_tensorflow

        return of_tensorflow(model, spec, x, 64)
    from harness.backends.pytorch.inference import predict as of_pytorch

    return of_pytorch(model, x, 64)
