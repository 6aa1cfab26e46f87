"""Latency and throughput of inference, on a clock that only the calls move."""

from __future__ import annotations

import numpy as np
import pytest

from harness.measure.latency import FIRST_CALLS, latency, throughput, throughputs
from tests.measure.fakes import Clock, Session, plan_of


class Calls:
    """Calls that take the next of `seconds`, the last one for ever."""

    def __init__(self, clock: Clock, seconds) -> None:
        self.clock, self.seconds, self.made = clock, list(seconds), 0

    def __call__(self) -> None:
        self.clock.now += self.seconds[min(self.made, len(self.seconds) - 1)]
        self.made += 1


def test_percentiles_are_numpys_and_first_calls_are_left_out():
    clock = Clock()
    timed = np.random.default_rng(0).lognormal(-6, 1, 5000)
    calls = Calls(clock, [*[0.01] * FIRST_CALLS, *timed])
    found = latency(calls, 1, clock, seconds=1.0)
    expected = np.percentile(timed[: found.n], [50, 90, 99])
    assert (found.p50_seconds, found.p90_seconds, found.p99_seconds) == pytest.approx(tuple(expected), rel=1e-9)
    assert 200 <= found.n < 5000
    assert timed[: found.n].sum() >= 1.0 > timed[: found.n - 1].sum()


def test_slow_calls_are_fewer():
    clock = Clock()
    found = latency(Calls(clock, [3.0]), 1, clock, seconds=1.0, longest=20.0)
    assert (found.n, found.p50_seconds, found.p99_seconds) == (7, 3.0, 3.0)


def test_quick_calls_are_at_least_so_many_that_p99_means_something():
    clock = Clock()
    assert latency(Calls(clock, [0.03125]), 1, clock, seconds=1.0).n == 200


def test_throughput_is_of_calls_back_to_back():
    clock = Clock()
    calls = Calls(clock, [50.0, 0.125])  # the first is not timed
    assert throughput(calls, 32, clock, seconds=1.0) == 32 / 0.125
    assert calls.made == 9


def test_throughput_by_batch_size():
    session = Session(plan_of(), Clock())
    found = throughputs(session, (1, 32), session.clock, seconds=0.5)
    assert found == pytest.approx({"1": 500.0, "32": 500.0})
