"""A whole half, with a backend that computes nothing and a clock that only moves when something is done."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from harness.backends.contract import State
from harness.errors import CellFailed
from harness.measure.half import HalfJob, measure_half, window_length
from harness.spec.execution import Execution
from harness.spec.timing import Timing
from tests.measure.fakes import CONDITIONS, Backend, Clock, Session, arrays_of, plan_of

REASONED = ("evaluation", "latency", "end_to_end")


def job(*, plan=None, timing: dict[str, Any] | None = None, execution: dict[str, Any] | None = None,
        evaluation: int | None = 20, device: str = "cpu", flops=None, ceiling=None, meter=None, end_to_end=False,
        **session) -> HalfJob:
    clock = Clock()
    plan = plan or plan_of()
    data = arrays_of(int(plan.tape.indices.max()) + 1)
    return HalfJob(
        Backend(clock, **session), plan, State({}), data, Execution(**(execution or {})),
        Timing(**(timing or {})), conditions={**CONDITIONS, "device": device},
        evaluation=None if evaluation is None else arrays_of(evaluation), flops_per_step=flops, ceiling=ceiling,
        meter=meter, end_to_end=end_to_end, clock=clock, cpu_clock=clock)


def test_what_a_half_holds():
    given = job(seconds=0.01, compile_seconds=3.0)
    half = measure_half(given)
    assert half["open_seconds"] == 7.0
    assert half["first_step_seconds"] == pytest.approx(3.01)
    assert half["compile_seconds"] == pytest.approx(6.0)  # two batch sizes
    assert [first["batch"] for first in half["first_steps"]] == [8, 4]
    assert half["warmup"]["steady"]
    assert half["warmup"]["judged_by"] == "cpu_seconds"
    window = half["window"]
    assert window["seconds"] == pytest.approx(0.01 * window["steps"])
    assert 5.0 <= window["seconds"] < 6.0
    assert sum(window["sub_seconds"]) == pytest.approx(window["seconds"])
    assert window["samples"] / window["steps"] == pytest.approx(20 / 3)  # whole epochs
    assert window["tokens"] is None
    assert window["tokens_reason"]
    assert half["compilation"]["recompiles"] == 0
    assert half["evaluation"] == {"samples": 64, "seconds": 0.5, "batch": 8}
    assert half["latency"]["p50_seconds"] == pytest.approx(0.002)
    assert half["latency"]["throughput"] == pytest.approx({"1": 500.0, "32": 500.0})
    assert half["energy"]["joules"] is None
    assert half["energy"]["reason"]
    assert half["memory"]["peak_bytes"] is None
    assert half["memory"]["peak_bytes_reason"]
    assert half["memory"]["process_peak_bytes"] > 2**20
    assert np.isfinite(half["loss"])
    assert (half["program"], half["versions"], half["mode"]) == ("fake loop", {"fake": "1"}, "training")
    assert half["conditions"] == given.conditions
    assert json.loads(json.dumps(half)) == half
    assert all(session.closed for session in given.backend.sessions)


def test_nothing_is_read_and_nothing_unfinished_while_the_clock_runs():
    given = job(seconds=0.01, launch=0.0001)
    half = measure_half(given)
    session = given.backend.sessions[0]
    assert set(given.clock.unfinished) == {0.0}
    # Between two collections the whole window passes, and the steps before it are the plan's first.
    gaps = np.diff(session.collected_at)
    assert gaps.max() == pytest.approx(half["window"]["seconds"])


def test_the_window_is_the_plans_own_training_from_its_first_weights():
    given = job(seconds=0.01)
    half = measure_half(given)
    session = given.backend.sessions[0]
    assert half["window"]["start"] == 10 % 9
    # Loaded before the settling steps: what was played since then is these and the window.
    assert session.weight == 10 + half["window"]["steps"]
    assert half["loss"] == pytest.approx(1.0 + 1.0 / session.weight)


def test_a_gpu_has_a_longer_window_of_so_many_steps_at_least():
    half = measure_half(job(seconds=0.2, device="gpu:0 NVIDIA", plan=plan_of(examples=800)))
    assert half["warmup"]["judged_by"] == "seconds"
    assert half["window"]["steps"] >= 200
    assert half["window"]["seconds"] >= 10.0
    quick = measure_half(job(seconds=0.01, device="gpu:0 NVIDIA"))
    assert 10.0 <= quick["window"]["seconds"] < 11.0


def test_the_idiomatic_tier_is_one_call_into_its_loop():
    given = job(execution={"tier": "idiomatic"}, plan=plan_of(examples=80, epochs=1000))
    assert window_length(given, given.plan, 0.01) == (630, 1)
    half = measure_half(given)
    assert len(half["window"]["sub_seconds"]) == 1
    assert half["end_to_end"] == {"samples": half["window"]["samples"], "seconds": half["window"]["seconds"]}


def test_the_tuned_tier_says_why_it_has_no_end_to_end_or_times_the_other_loop():
    half = measure_half(job())
    assert half["end_to_end"] is None
    assert "idiomatic" in half["end_to_end_reason"]
    given = job(end_to_end=True, seconds=0.01)
    half = measure_half(given)
    assert half["end_to_end"]["samples"] / half["end_to_end"]["seconds"] == pytest.approx(20 / 0.03)
    assert [session.closed for session in given.backend.sessions] == [True, True]


def test_what_is_not_wanted_is_none_and_says_so():
    half = measure_half(job(timing={"latency": False, "evaluation": False}))
    for name in REASONED:
        assert half[name] is None
        assert half[f"{name}_reason"]
    assert "no split" in measure_half(job(evaluation=None))["evaluation_reason"]


def test_a_missing_barrier_is_impossible():
    plan = plan_of(examples=800)
    assert measure_half(job(plan=plan, seconds=0.01, flops=1e9, ceiling=2e11))["flops_per_step"] == 1e9
    with pytest.raises(CellFailed, match="missing barrier or skipped work") as error:
        measure_half(job(plan=plan, seconds=0.01, launch=1e-4, barrier=False, flops=1e9, ceiling=2e11))
    assert error.value.kind == "impossible_speed"


def test_a_window_without_an_update_fails():
    class Deaf(Session):
        """Learns in single steps only: in the long loop the update was optimised away."""

        def train(self, start: int, stop: int) -> None:
            self.learns = stop - start == 1
            super().train(start, stop)

    given = job(plan=plan_of(examples=800, epochs=200))
    given.backend.open = lambda *rest: Deaf(given.plan, given.clock)
    with pytest.raises(CellFailed, match="no weight changed") as error:
        measure_half(given)
    assert error.value.kind == "no_update"


def test_a_loss_that_is_not_finite_fails():
    class Diverging(Session):
        """In the window: after the first weights were loaded again."""

        def load(self, state: State) -> None:
            super().load(state)
            self.losses = lambda step, played: np.inf if played == 400 else 1.0 / (1 + played)

    given = job()
    given.backend.open = lambda *rest: Diverging(given.plan, given.clock)
    with pytest.raises(CellFailed, match="became inf") as error:
        measure_half(given)
    assert error.value.kind == "nan_loss"


def test_a_compilation_in_the_window_fails():
    class Late(Session):
        def compilation(self) -> dict[str, Any]:
            return {**super().compilation(), "recompiles": int(sum(stop - start for start, stop in self.asked) > 600)}

    given = job(seconds=0.01)
    given.backend.open = lambda *rest: Late(given.plan, given.clock)
    with pytest.raises(CellFailed) as error:
        measure_half(given)
    assert error.value.kind in ("recompiled", "unfair")


def test_energy_is_measured_around_the_window():
    class Meter:
        def __init__(self, clock: Clock) -> None:
            self.clock = clock

        def start(self) -> None:
            self.began = self.clock.now

        def stop(self) -> dict[str, Any]:
            return {"joules": 50.0, "seconds": self.clock.now - self.began, "reason": None}

    given = job()
    given.meter = Meter(given.clock)
    half = measure_half(given)
    assert half["energy"] == {"joules": 50.0, "seconds": pytest.approx(half["window"]["seconds"]), "reason": None}


def test_a_session_is_closed_when_it_fails():
    given = job(learns=False)
    with pytest.raises(CellFailed):
        measure_half(given)
    assert given.backend.sessions[0].closed
