"""Rounds: no contender is favoured by its place, and windows are as long as they are to be."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest

from benchmarks.rounds import Window, epochs_for, order, play_rounds

NAMES = ["a", "b", "c", "d", "e"]


def test_each_stands_at_each_place_as_often() -> None:
    places = Counter((name, place) for number in range(2 * len(NAMES))
                     for place, name in enumerate(order(NAMES, number)))
    assert set(places.values()) == {2}
    assert len(places) == len(NAMES) ** 2


def test_each_is_before_each_other_in_half_of_the_rounds() -> None:
    rounds = [order(NAMES, number) for number in range(2 * len(NAMES))]
    for one, other in permutations(NAMES, 2):
        assert sum(names.index(one) < names.index(other) for names in rounds) == len(NAMES)


def test_two_contenders_are_played_abba() -> None:
    assert [order(["a", "b"], number) for number in range(4)] == [["a", "b"], ["b", "a"], ["b", "a"], ["a", "b"]]


@pytest.mark.parametrize(("epoch", "epochs"), [(0.3, 4), (1.0, 1), (5.0, 1), (1e-12, 10_000)])
def test_window_is_at_least_as_long_as_asked(epoch: float, epochs: int) -> None:
    assert epochs_for(epoch, 1.0) == epochs


class Fake:
    """Takes `pace` seconds for an epoch of 10 examples; fails in the call `fails`."""

    def __init__(self, pace: float, log: list[tuple[str, int]], name: str, fails: int = -1) -> None:
        self.epoch_seconds, self.log, self.name, self.fails = pace, log, name, fails
        self.calls = 0

    def play(self, epochs: int) -> Window:
        self.calls += 1
        if self.calls == self.fails:
            raise RuntimeError("broken")
        self.log.append((self.name, epochs))
        # The first call is still cold.
        return Window((9.0 if self.calls == 1 else 1.0) * epochs * self.epoch_seconds, 2.0, 10 * epochs)


def test_times_are_those_of_an_example_and_the_settling_round_does_not_count() -> None:
    log: list[tuple[str, int]] = []
    players = {"quick": Fake(0.1, log, "quick"), "slow": Fake(2.0, log, "slow")}
    times = play_rounds(players, 3, 1.0, lambda name, error: pytest.fail(name))
    assert times["quick"].cpu == pytest.approx([0.01] * 3)
    assert times["slow"].cpu == pytest.approx([0.2] * 3)
    assert times["quick"].wall == pytest.approx([0.02] * 3)
    assert Counter(log) == {("quick", 10): 4, ("slow", 1): 4}


def test_who_fails_leaves_and_the_others_go_on() -> None:
    log: list[tuple[str, int]] = []
    lost: list[str] = []
    players = {"good": Fake(1.0, log, "good"), "bad": Fake(1.0, log, "bad", fails=3)}
    times = play_rounds(players, 4, 1.0, lambda name, error: lost.append(f"{name}: {error}"))
    assert lost == ["bad: broken"]
    assert list(times) == ["good"]
    assert len(times["good"].cpu) == 4
