"""mode_of with sessions made by hand: what a step has to leave behind to count as training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.backends.contract import State
from harness.errors import CellFailed
from harness.measure.fairness import judged
from harness.measure.mode import mode_of
from harness.plan.binding import Arrays
from harness.spec.execution import Execution
from tests.measure.unfair.subject import normalised_model, plan_and_data, small_model

DROPPED = 0.25


class Hand:
    """A session in NumPy whose loss is 1 in inference and 1 + dropped in training; what a step moves is said."""

    data_path = "compute"

    def __init__(self, plan: Any, *, moves: tuple[str, ...], counts: bool = True, dropped: float = DROPPED) -> None:
        self.plan, self.moves, self.counts, self.dropped = plan, moves, counts, dropped
        self.weights = {variable.name: np.zeros(variable.shape) for variable in plan.variables}
        self.iterations, self.losses = 0, [np.nan]  # one of a step before, which nobody collected
        self.evaluated: list[Arrays] = []

    def train(self, start: int, stop: int) -> None:
        for name in self.weights:
            if name.endswith(self.moves):
                self.weights[name] = self.weights[name] + 1
        self.iterations += self.counts * (stop - start)
        self.losses += [1 + self.dropped] * (stop - start)

    def wait(self) -> None:
        pass

    def collect(self) -> Any:
        losses, self.losses = np.array(self.losses), []
        return SimpleNamespace(losses=losses)

    def state(self) -> State:
        return State(dict(self.weights), {}, self.iterations)

    def evaluate(self, arrays: Arrays, batch_size: int) -> tuple[float, tuple[np.ndarray, ...]]:
        self.evaluated.append(arrays)
        return 1.0, ()

    def readback(self) -> dict[str, np.ndarray]:
        return {"indices": self.plan.tape.indices}

    def compilation(self) -> dict[str, Any]:
        return {"compiler": "none", "wanted": "none", "programs": 0, "recompiles": 0, "fallback": None}


TRAINED = ("kernel", "bias", "gamma", "beta")
MOVING = ("moving_mean", "moving_variance")


@pytest.mark.parametrize(("model", "step", "expected"), [
    (small_model, {"moves": TRAINED}, "training"),
    (small_model, {"moves": TRAINED, "dropped": 0.0}, "inference"),
    (small_model, {"moves": (), "counts": False}, "no update"),
    (small_model, {"moves": (), "counts": True}, "training"),  # gradients are gathered
    (normalised_model, {"moves": (*TRAINED, *MOVING), "dropped": 0.0}, "training"),
    (normalised_model, {"moves": TRAINED, "dropped": 0.0}, "inference"),
    (normalised_model, {"moves": MOVING, "counts": False}, "no update"),
])
def test_modes(model: Any, step: dict[str, Any], expected: str) -> None:
    plan, data = plan_and_data(model)
    session: Any = Hand(plan, **{"moves": (), **step})
    assert mode_of(session, plan, data, step=2) == expected
    if plan.stochastic:  # the same rows as the step's: 4, the last of the epoch
        rows = plan.tape.indices[2][:4]
        np.testing.assert_array_equal(session.evaluated[0].x["image"], data.x["image"][rows])


def test_a_frozen_batch_normalisation_stands_still() -> None:
    plan, data = plan_and_data(lambda: normalised_model().with_trainable({"norm": False}))
    session: Any = Hand(plan, moves=("kernel", "bias"))
    assert mode_of(session, plan, data) == "training"


def test_judged() -> None:
    from tests.measure.test_parity import conditions

    plan, data = plan_and_data(small_model)
    session: Any = Hand(plan, moves=TRAINED)
    said = judged(Execution(), "pytorch", conditions("pytorch"), session, plan, data)
    assert set(said) == {"plan_digest", "tape_digest", "batch_size", "tier", "data_path", "mode"}
    assert (said["batch_size"], said["mode"]) == (8, "training")
    with pytest.raises(CellFailed, match="UNFAIR: the steps do not train") as error:
        judged(Execution(), "pytorch", conditions("pytorch"), Hand(plan, moves=TRAINED, dropped=0.0),  # type: ignore
               plan, data)
    assert error.value.kind == "unfair"
