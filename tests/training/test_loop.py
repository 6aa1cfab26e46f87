"""The one loop, with a session that computes nothing and a clock that only moves when the session works."""

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.backends.contract import Played, State
from harness.errors import CellFailed
from harness.plan.binding import Arrays
from harness.plan.compiler import compile_phase
from harness.spec.recipe import Recipe
from harness.training.loop import PhaseLoop


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Session:
    """Every step takes `seconds`; the first step of each batch size takes `compile_seconds` more."""

    model = None

    def __init__(self, plan, clock, losses, val_losses=(), seconds=0.01, compile_seconds=3.0) -> None:
        self.plan, self.clock, self.step_losses = plan, clock, losses
        self.val_losses, self.seconds, self.compile_seconds = list(val_losses), seconds, compile_seconds
        self.asked, self.compiled, self.pending, self.waited = [], set(), [], 0
        self.weight = 0.0

    def train(self, start, stop):
        self.asked.append((start, stop))
        for step in range(start, stop):
            size = int(self.plan.tape.sizes[step])
            self.clock.now += self.seconds + (0 if size in self.compiled else self.compile_seconds)
            self.compiled.add(size)
            self.pending.append(self.step_losses[step])
        self.weight = float(stop)

    def wait(self):
        self.waited += 1

    def collect(self):
        played, self.pending = Played(np.array(self.pending, float), None), []
        return played

    def evaluate(self, arrays, batch_size):
        self.clock.now += 100.0
        return self.val_losses.pop(0), (np.zeros((len(arrays), 2)),)

    def state(self):
        return State({"w": np.array(self.weight)}, {"m": {"w": np.array(self.weight)}}, int(self.weight))

    def load(self, state):
        self.loaded = state

    def program(self):
        return "fake"


def run(examples=20, losses=None, val_losses=(), seconds=0.01, **recipe):
    x = Input((3,), name="x")
    spec = Model(x, layers.Dense(2, name="d")(x))
    recipe = Recipe(**{"loss": {"SparseCategoricalCrossentropy": {"from_logits": True}}, "batch_size": 8, **recipe})
    phase = recipe.resolved_phases()[0]
    plan = compile_phase(spec, phase, index=0, examples=examples, seed=0)
    clock = Clock()
    losses = np.ones(len(plan.tape)) if losses is None else losses
    session = Session(plan, clock, losses, val_losses, seconds)
    arrays = Arrays({"x": np.zeros((examples, 3))}, {"d": np.zeros(examples, np.int32)})
    events = []
    loop = PhaseLoop(session, plan, phase, arrays, arrays if val_losses else None, clock, events.append)
    return loop(), session, events


def test_compilation_and_evaluation_are_not_in_the_timed_windows():
    result, session, _ = run(examples=20, epochs=3, val_losses=[3, 2, 1])
    steady = [window for window in result.windows if not window.warmup]
    assert sum(w.seconds for w in steady) == pytest.approx(0.01 * sum(w.stop - w.start for w in steady))
    assert [w.warmup for w in result.windows[:3]] == [True, False, True]
    assert result.first_step_seconds == pytest.approx(3.01)
    assert session.waited == 2 * len(session.asked)


def test_windows_cover_every_step_once():
    result, session, _ = run(examples=100, epochs=4)
    assert session.asked == [(window.start, window.stop) for window in result.windows]
    assert [start for start, _ in session.asked] == [0, *[stop for _, stop in session.asked[:-1]]]
    assert session.asked[-1][1] == 4 * 13


def test_long_epochs_are_cut_into_windows_of_about_two_seconds():
    result, _, events = run(examples=8 * 1000, seconds=0.01)
    steady = [window.seconds for window in result.windows if not window.warmup][1:-1]
    assert steady
    assert all(1.9 < seconds <= 2.0 for seconds in steady)
    assert len(events) == len(result.windows)


def test_epoch_loss_is_weighted_by_batch_size():
    result, _, _ = run(examples=20, losses=np.array([1.0, 2.0, 10.0]))
    assert result.epochs[0]["loss"] == pytest.approx((8 * 1 + 8 * 2 + 4 * 10) / 20)


def test_a_nan_names_its_step():
    with pytest.raises(CellFailed, match="step 4 of phase 'pretrain'") as error:
        run(examples=16, epochs=3, losses=np.array([1, 1, 1, 1, np.nan, 1]))
    assert error.value.kind == "nan_loss"


def test_early_stopping_restores_the_best_weights_and_keeps_the_count():
    result, session, _ = run(
        examples=16, epochs=6, val_losses=[3, 1, 2, 2.5, 9, 9],
        early_stopping={"patience": 2, "restore_best_weights": True},
    )
    assert len(result.epochs) == 4
    assert result.stopped_early
    assert result.best_epoch == 2
    assert float(session.loaded.weights["w"]) == 4.0
    assert session.loaded.iterations == 8


def test_keep_best_without_stopping():
    result, session, _ = run(examples=16, epochs=3, val_losses=[2, 1, 3], keep_best="val_loss")
    assert not result.stopped_early
    assert result.best_epoch == 2
    assert float(session.loaded.weights["w"]) == 4.0
