"""Warm-up of a session: first steps, sub-windows, and what ends them."""

from __future__ import annotations

from itertools import chain, repeat

import numpy as np
import pytest

from harness.errors import CellFailed
from harness.measure.warmup import first_steps, in_whole_epochs, warm_up
from harness.measure.window import Player
from tests.measure.fakes import Clock, Session, plan_of


def warmed(session: Session, **arguments):
    given = {"window_seconds": 5.0, "steadiness": 0.01, "limit": 120.0, "step_seconds": 0.01, "clock": session.clock,
             "cpu_clock": session.clock, **arguments}
    first_steps(session, session.plan.tape, lambda: 0.0)
    session.clock.now = 0.0
    return warm_up(Player(session, session.plan), session.plan, **given)


def test_compilation_is_the_first_step_less_the_same_step_again():
    session = Session(plan_of(), Clock(), 0.01, compile_seconds=3.0)
    full, partial = first_steps(session, session.plan.tape, session.clock)
    assert (full.batch, partial.batch) == (8, 4)
    for first in (full, partial):
        assert first.first_seconds == pytest.approx(3.01)
        assert first.again_seconds == pytest.approx(0.01)
        assert first.compile_seconds == pytest.approx(3.0)
    assert session.asked == [(0, 1)] * 4 + [(2, 3)] * 4
    assert set(session.clock.unfinished) == {0.0}


def test_a_first_step_that_is_quicker_compiled_nothing():
    session = Session(plan_of(examples=16), Clock(), iter([0.5, 0.6, 0.6, 0.6]), compile_seconds=0.0)
    assert first_steps(session, session.plan.tape, session.clock)[0].compile_seconds == 0.0


def test_the_end_of_a_slow_beginning_is_found():
    session = Session(plan_of(examples=16), Clock(), chain(repeat(0.2, 19), repeat(0.05)), compile_seconds=0.0)
    found = warmed(session, step_seconds=0.2)  # after four steps of the first batch size
    assert found.steady
    assert abs(found.ended - 15) <= 10
    assert found.step_seconds == pytest.approx(0.05)
    assert found.seconds == session.clock.now
    assert found.steps == session.played - 4
    assert len(found.rates) == len(found.cpu_seconds)
    assert found.rates[-1] == pytest.approx(8 / 0.05)


def test_sub_windows_are_about_a_fiftieth_of_the_window():
    session = Session(plan_of(examples=8000, epochs=20), Clock(), 0.0001, compile_seconds=0.0)
    found = warmed(session, step_seconds=0.005)  # a single step seemed much longer
    assert found.sub_steps == 1000
    assert found.steps / 1000 < 54


def test_sub_windows_are_whole_epochs_where_they_are_that_long():
    tape = plan_of().tape
    assert [in_whole_epochs(steps, tape) for steps in (1, 2, 3, 4, 5, 100)] == [1, 2, 3, 6, 6, 102]


def test_a_drift_has_no_steady_state():
    throttled = (0.05 * 1.001**index for index in range(10**6))
    session = Session(plan_of(), Clock(), throttled, compile_seconds=0.0)
    with pytest.raises(CellFailed, match=r"no steady state after 6\d s .* where .* is allowed") as error:
        warmed(session, limit=60.0)
    assert error.value.kind == "no_steady_state"


def test_steps_that_are_too_slow_for_the_limit_say_so():
    session = Session(plan_of(), Clock(), 30.0, compile_seconds=0.0)
    with pytest.raises(CellFailed, match="4 sub-windows of 1 steps are too few to tell"):
        warmed(session, limit=120.0, step_seconds=30.0)


def test_a_late_compilation_begins_it_anew():
    session = Session(plan_of(examples=8000, epochs=20), Clock(), 0.05, compile_seconds=0.0)
    late = warmed(session, step_seconds=0.05).steps
    session = Session(plan_of(examples=8000, epochs=20), Clock(), 0.05, compile_seconds=0.0)
    real = session.compilation
    session.compilation = lambda: {**real(), "programs": 1 + (session.played >= 60)}
    found = warmed(session, step_seconds=0.05)
    assert found.steps - found.ended >= late - 10  # ten steps to find out how long a sub-window is
    assert found.ended >= 56


def test_on_a_cpu_it_is_the_cpu_time_that_has_to_be_steady():
    """Another process takes the core away, for longer and longer."""
    class Shared(Clock):
        cpu = 0.0

    class Robbed(Session):
        def wait(self) -> None:
            self.clock.cpu += self.clock.pending
            self.clock.now += 0.002 * self.played if self.clock.pending else 0.0
            super().wait()

    def found(by_cpu: bool):
        session = Robbed(plan_of(), Shared(), 0.05, compile_seconds=0.0)
        return warmed(session, step_seconds=0.05, by_cpu=by_cpu, cpu_clock=lambda: session.clock.cpu, limit=60.0)

    by_cpu = found(True)
    assert by_cpu.judged_by == "cpu_seconds"
    assert by_cpu.step_seconds > 0.06  # the window's length goes by the clock
    with pytest.raises(CellFailed, match="no steady state"):
        found(False)


def test_a_loss_that_is_not_a_number_ends_it():
    session = Session(plan_of(), Clock(), 0.05, losses=lambda step, played: np.nan if played == 40 else 1.0)
    with pytest.raises(CellFailed, match="became nan") as error:
        warmed(session)
    assert error.value.kind == "nan_loss"
