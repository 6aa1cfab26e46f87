"""Faults in what a session plays: the tape, the data, the state that it starts from. Of either framework."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tests.faults.mutant import BACKWARD, FORWARD, Expected, Mutant
from tests.faults.patching import wrap


def opened(backend: str, change: Callable[..., tuple[Any, Any, Any]]) -> None:
    """change(plan, state, data) gives what the session is made of."""
    session = importlib.import_module(f"harness.backends.{backend}.session")

    def make(original: Any) -> Any:
        def constructor(self: Any, plan: Any, state: Any, data: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *change(plan, state, data), *args, **kwargs)

        return constructor

    wrap(session.Session, "__init__", make)


def with_tape(backend: str, change: Callable[[Any], dict[str, np.ndarray]]) -> None:
    """change(tape) gives the arrays that are others."""
    def changed(plan: Any, state: Any, data: Any) -> tuple[Any, Any, Any]:
        return replace(plan, tape=replace(plan.tape, **change(plan.tape))), state, data

    opened(backend, changed)


def last_batch_dropped(tape: Any) -> dict[str, np.ndarray]:
    """The partial batches are left out, and those behind them come earlier; full ones fill up the end."""
    full = np.flatnonzero(tape.sizes == tape.indices.shape[1])
    taken = np.resize(full, len(tape.sizes))
    return {"indices": tape.indices[taken], "sizes": tape.sizes[taken]}


def batch_repeated(tape: Any) -> dict[str, np.ndarray]:
    indices = tape.indices.copy()
    indices[3] = indices[2]
    return {"indices": indices}


def shuffled_once_more(tape: Any) -> dict[str, np.ndarray]:
    """From the second epoch on the examples come in another order."""
    indices, later = tape.indices.copy(), tape.epochs > 0
    order = np.random.default_rng(5).permutation(int(indices.max()) + 1)
    indices[later] = np.where(indices[later] < 0, -1, order[indices[later]])
    return {"indices": indices}


def schedule_early(tape: Any) -> dict[str, np.ndarray]:
    return {"learning_rates": np.append(tape.learning_rates[1:], tape.learning_rates[-1])}


def warm_up_late(tape: Any) -> dict[str, np.ndarray]:
    """The rates rise one step late, and fall as they should."""
    rates = tape.learning_rates.copy()
    top = int(rates.argmax())
    rates[1:top + 1] = tape.learning_rates[:top]
    return {"learning_rates": rates}


def keys_of_the_first_step(tape: Any) -> dict[str, np.ndarray]:
    return {"keys": np.repeat(tape.keys[:1], len(tape.keys), 0)}


def keys_of_one_layer(tape: Any) -> dict[str, np.ndarray]:
    keys = tape.keys.copy()
    keys[:, 1] ^= 77
    return {"keys": keys}


def labels_moved(plan: Any, state: Any, data: Any) -> tuple[Any, Any, Any]:
    return plan, state, replace(data, y={name: (labels + 1) % 4 for name, labels in data.y.items()})


def inputs_scaled(plan: Any, state: Any, data: Any) -> tuple[Any, Any, Any]:
    return plan, state, replace(data, x={name: values / 255.0 for name, values in data.x.items()})


def weights_of_others(plan: Any, state: Any, data: Any) -> tuple[Any, Any, Any]:
    """Every example has the weight of its neighbour."""
    return plan, state, replace(data, sample_weight=np.roll(data.sample_weight, 1))


def one_layer_drawn_otherwise(plan: Any, state: Any, data: Any) -> tuple[Any, Any, Any]:
    from harness.plan.initial import draw

    weight = next(item for item in plan.spec.weights if item.name == "third/kernel")
    return plan, replace(state, weights={**state.weights, weight.name: draw(weight, plan.seed + 1)}), data


def head_kept(plan: Any, state: Any, data: Any) -> tuple[Any, Any, Any]:
    """The second phase has the first one's head, as that phase found it."""
    from harness.plan.initial import draw

    if plan.name != "finetune":
        return plan, state, data
    kept = {item.name: draw(item, plan.seed) for item in plan.spec.weights if item.layer == "head"}
    return plan, replace(state, weights={**state.weights, **kept}), data


def thawed(plan: Any, state: Any, data: Any) -> tuple[Any, Any, Any]:
    """The frozen stem is trained."""
    spec = plan.spec.with_trainable({"stem": True})
    variables = tuple(replace(item, trainable=True) if item.name == "stem/kernel" else item for item in plan.variables)
    return replace(plan, spec=spec, variables=variables), state, data


def frozen(plan: Any, state: Any, data: Any) -> tuple[Any, Any, Any]:
    """The block is not trained."""
    if plan.name != "finetune":
        return plan, state, data
    spec = plan.spec.with_trainable({"block": False})
    variables = tuple(replace(item, trainable=False) if item.layer == "block" else item for item in plan.variables)
    return replace(plan, spec=spec, variables=variables), state, data


def without_gradient() -> None:
    """PyTorch: the block's parameters want no gradient, though the optimizer has them."""
    from tests.faults.patching import on_module

    on_module("block", lambda module: module.requires_grad_(False))


RATE = Expected(("schedule",), says="learning.?rate")
ROWS = Expected(("data",), says="indices|batch|data")
KEYS = Expected(("random",), says="key|random|seed")


def _tape(name: str, host: str, backend: str, change: Any, expected: Expected) -> Mutant:
    return Mutant(name, host, backend, with_tape, expected, (backend, change))


def _opened(name: str, host: str, backend: str, change: Any, expected: Expected) -> Mutant:
    return Mutant(name, host, backend, opened, expected, (backend, change))


MUTANTS = (
    _tape("last batch dropped", "mlp", "pytorch", last_batch_dropped, ROWS),
    _tape("last batch dropped in tensorflow", "dropout", "tensorflow", last_batch_dropped, ROWS),
    _tape("batch repeated", "cnn", "pytorch", batch_repeated, ROWS),
    _tape("shuffled differently in epoch 2", "rmsprop", "pytorch", shuffled_once_more, ROWS),
    _tape("schedule a step early", "sgd", "pytorch", schedule_early, RATE),
    _tape("schedule a step early in tensorflow", "rmsprop", "tensorflow", schedule_early, RATE),
    _tape("warm-up a step late", "adamw", "pytorch", warm_up_late, RATE),
    _tape("same keys at every step", "dropout", "pytorch", keys_of_the_first_step, KEYS),
    _tape("keys of one call", "dropout", "tensorflow", keys_of_one_layer,
          Expected(("random",), "drop_2")),
    _opened("labels moved by one", "cnn", "pytorch", labels_moved, Expected(("data",), says="data y|label|target")),
    _opened("inputs scaled twice", "cnn", "pytorch", inputs_scaled, Expected(("data",), says="data x|input")),
    _opened("sample weights of others", "sgd", "pytorch", weights_of_others,
            Expected(("data",), says="sample.?weight")),
    _opened("one layer drawn otherwise", "mlp", "pytorch", one_layer_drawn_otherwise,
            Expected(("plan", *FORWARD), "third")),
    _opened("head not reset", "finetune", "pytorch", head_kept, Expected(("plan", *FORWARD), "head")),
    _opened("frozen layer trained", "finetune", "pytorch", thawed, Expected(("plan", "update", *BACKWARD), "stem")),
    _opened("trained layer frozen in tensorflow", "finetune", "tensorflow", frozen,
            Expected(("plan", "update", *BACKWARD), "block")),
    Mutant("trained layer without gradient", "finetune", "pytorch", without_gradient,
           Expected(("plan", "update", *BACKWARD), "block")),
)
