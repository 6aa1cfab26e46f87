"""The timed window: what is counted, what is read when, and the tape played round."""

from __future__ import annotations

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.measure.window import Player, play_window, tokens_of
from tests.measure.fakes import Clock, Session, arrays_of, plan_of


def player(**arguments) -> Player:
    """On a tape of nine steps of 8, 8, 4, 8, 8, 4, ... examples, each of them compiled."""
    plan = plan_of()
    session = Session(plan, Clock(), compile_seconds=0.0, **arguments)
    return Player(session, plan)


def test_throughput_is_exact():
    played = player(seconds=0.25)
    window = play_window(played, 6, played.session.clock, cpu_clock=played.session.clock)
    assert (window.steps, window.samples, window.seconds) == (6, 40, 1.5)
    assert window.samples_per_second == pytest.approx(40 / 1.5)
    assert window.cpu_seconds == 1.5
    assert window.tokens is None


def test_partial_batches_are_counted_as_what_they_are():
    played = player()
    clock = played.session.clock
    assert [play_window(played, 1, clock).samples for _ in range(9)] == [8, 8, 4] * 3


def test_nothing_is_unfinished_when_the_clock_is_read_and_nothing_is_collected():
    played = player(seconds=0.5, launch=0.001)
    clock = played.session.clock
    played.session.train(0, 3)  # what was asked for before does not count
    window = play_window(played, 8, clock, parts=4, cpu_clock=lambda: 0.0)
    assert len(clock.unfinished) == 5
    assert set(clock.unfinished) == {0.0}
    assert window.seconds == pytest.approx(8 * 0.501)
    assert played.session.collected_at == []


def test_a_window_goes_round_the_tape_in_as_few_calls_as_can_be():
    played = player()
    play_window(played, 5, played.session.clock)
    window = play_window(played, 24, played.session.clock)
    assert played.session.asked == [(0, 5), (5, 9), (0, 9), (0, 9), (0, 2)]
    assert (window.start, window.steps, played.position) == (5, 24, 2)
    # Step by step: from the sixth of nine on.
    sizes = np.tile([8, 8, 4], 12)
    assert window.samples == sizes[5:29].sum()


def test_a_window_that_ends_at_the_tapes_end_does_not_begin_it_again():
    played = player()
    play_window(played, 18, played.session.clock)
    assert played.session.asked == [(0, 9), (0, 9)]
    assert played.position == 0


def test_parts_lie_end_to_end():
    played = player(seconds=iter(np.arange(1, 100) / 16))
    window = play_window(played, 7, played.session.clock, parts=3)
    assert [stop - start for start, stop in played.session.asked] == [3, 2, 2]
    assert window.sub_seconds == pytest.approx((6 / 16, 9 / 16, 13 / 16))
    assert sum(window.sub_seconds) == window.seconds


def test_a_window_is_not_shorter_than_asked_for():
    played = player(seconds=0.25)
    window = play_window(played, 4, played.session.clock, parts=2, least_seconds=1.9)
    assert window.seconds == 2.0
    assert window.steps == 8
    assert window.samples == 8 + 8 + 4 + 8 + 8 + 4 + 8 + 8


def test_more_parts_than_steps():
    played = player(seconds=0.25)
    window = play_window(played, 2, played.session.clock, parts=10)
    assert window.steps == len(window.sub_seconds) == 2


def test_tokens_are_the_places_of_a_sequence():
    x = Input((12,), name="words")
    fed = Model(x, layers.Dense(2)(layers.Flatten()(layers.Embedding(50, 4)(x))))
    assert tokens_of(fed, {"words": np.zeros((5, 12), np.float32)}) == 12
    ids = Input((None,), dtype="int32", name="ids")
    opened = Model(ids, layers.GlobalAveragePooling1D()(layers.Embedding(50, 4)(ids)))
    assert tokens_of(opened, {"ids": np.zeros((5, 31), np.int32)}) == 31
    assert tokens_of(plan_of().spec, arrays_of().x) is None
    one = Input((1,), dtype="int32", name="category")
    assert tokens_of(Model(one, layers.Embedding(50, 4)(one)), {"category": np.zeros((5, 1), np.int32)}) is None


def test_tokens_of_a_window():
    plan = plan_of()
    played = Player(Session(plan, Clock()), plan, tokens=12)
    assert play_window(played, 3, played.session.clock).tokens == 20 * 12


def test_a_window_is_plain_data():
    played = player(seconds=0.25)
    assert play_window(played, 2, played.session.clock, cpu_clock=lambda: 0.0).to_data() == {
        "start": 0, "steps": 2, "seconds": 0.5, "samples": 16, "tokens": None, "cpu_seconds": 0.0, "sub_seconds": [0.5]}
