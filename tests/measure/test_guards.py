"""What a window cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.errors import CellFailed
from harness.measure.guards import check_finite, check_update, impossible, slack_of
from harness.measure.window import Player, play_window
from tests.measure.fakes import Clock, Session, plan_of

CEILING = 1e11


def speed(session: Session) -> str | None:
    """A step of 1e9 FLOPs in 20 ms, half of what the device can do."""
    window = play_window(Player(session, session.plan), 300, session.clock)
    return impossible(1e9, window.samples / 8, window.seconds, CEILING)


def test_a_session_that_forgets_its_barrier_is_caught():
    plan = plan_of(examples=800)
    assert speed(Session(plan, Clock(), 0.02, 0.0, launch=1e-4)) is None
    found = speed(Session(plan, Clock(), 0.02, 0.0, launch=1e-4, barrier=False))
    assert found is not None
    assert "missing barrier or skipped work: 300 steps" in found


def test_a_session_that_skips_work_is_caught():
    assert "skipped work" in (speed(Session(plan_of(examples=800), Clock(), 0.001, 0.0)) or "")


def test_what_is_not_known_is_not_judged():
    assert impossible(None, 10, 1.0, CEILING) is None
    assert impossible(1e9, 10, 1.0, None) is None
    assert impossible(1e9, 10, 0.0, CEILING) is not None


def test_the_ceiling_has_a_slack_and_winograd_a_larger_one():
    assert impossible(1e9, 109, 1.0, CEILING) is None
    assert impossible(1e9, 111, 1.0, CEILING) is not None
    x = Input((8, 8, 1), name="x")
    convolving = Model(x, layers.Conv2D(2, 3)(x))
    assert impossible(1e9, 240, 1.0, CEILING, slack_of(convolving)) is None
    assert impossible(1e9, 250, 1.0, CEILING, slack_of(convolving)) is not None
    assert slack_of(plan_of().spec) == 1.1


def test_losses_have_to_be_finite():
    check_finite(np.array([1.0, 0.0]))
    with pytest.raises(CellFailed, match="became inf") as error:
        check_finite(np.array([1.0, np.inf, np.nan]))
    assert error.value.kind == "nan_loss"


def weights(plan, value: float) -> dict[str, np.ndarray]:
    return {variable.name: np.full(variable.shape, value) for variable in plan.trainable}


def test_an_update_that_was_optimised_away():
    plan = plan_of()
    falling = np.array([3.0, 2.0, 1.0])
    check_update(plan, weights(plan, 0.0), weights(plan, 1.0), falling)
    with pytest.raises(CellFailed, match="no weight changed") as error:
        check_update(plan, weights(plan, 0.0), weights(plan, 0.0), falling)
    assert error.value.kind == "no_update"
    with pytest.raises(CellFailed, match=r"all 3 losses of the timed window are 2\.5"):
        check_update(plan, weights(plan, 0.0), weights(plan, 1.0), np.full(3, 2.5))


def test_nothing_is_asked_of_a_training_that_cannot_move():
    plan = plan_of()
    still = replace(plan, tape=replace(plan.tape, learning_rates=np.zeros_like(plan.tape.learning_rates)))
    check_update(still, weights(plan, 0.0), weights(plan, 0.0), np.full(3, 2.5))
