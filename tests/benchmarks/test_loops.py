"""What a training loop is asked at its end, and which of several variants is taken."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.contenders.loops import Loop, Variant, fastest
from benchmarks.workloads import WORKLOADS, arrays


def made(
    seconds: float = 0.0, losses: tuple[float, ...] = (2.0, 1.0), moves: tuple[float, ...] = (1.0, 1.0), name: str = "",
) -> Loop:
    """A loop of two weights that burns CPU time; its losses come one after the other, then the last again."""
    weights = [np.ones(2, np.float32), np.ones((2, 2), np.float32)]
    left = list(losses)

    def train(epochs: int) -> float:
        until = time.process_time() + epochs * seconds
        while time.process_time() < until:
            pass
        for weight, move in zip(weights, moves, strict=True):
            weight += np.float32(move)
        return left.pop(0) if len(left) > 1 else left[0]

    return Loop(name, train, lambda: weights)


def trained(loop: Loop) -> dict[str, object]:
    loop.train(1)
    loop.train(1)
    return loop.check()


def test_a_training_is_one() -> None:
    found = trained(made())
    assert found["problem"] is None
    assert found["parameters"] == 6
    assert found["moved"] == pytest.approx(2.0)
    assert (found["first_loss"], found["last_loss"]) == (2.0, 1.0)


@pytest.mark.parametrize(("loop", "problem"), [
    (made(moves=(1.0, 0.0)), "1 of 2 trainable weights never changed"),
    (made(losses=(1.0, 1.0)), "the loss did not fall: 1, then 1"),
    (made(losses=(1.0, float("nan"))), "weights or loss are not finite"),
    (made(moves=(float("inf"), 1.0)), "weights or loss are not finite"),
])
def test_what_only_looks_like_one(loop: Loop, problem: str) -> None:
    assert trained(loop)["problem"] == problem


def variant(loop: Loop, probe: float = 0.0) -> Variant:
    def play(steps: int) -> None:
        until = time.process_time() + probe
        while time.process_time() < until:
            pass

    return lambda: (loop, play)


def broken(error: Exception) -> Variant:
    def opened() -> tuple[Loop, Callable[[int], None]]:
        raise error

    return opened


def test_the_fastest_that_trains_is_taken() -> None:
    found = fastest({
        "slow": variant(made(0.03, name="slow"), 0.001),
        "broken": broken(RuntimeError("no compiler\nat all")),
        "no training": variant(made(0.001, moves=(1.0, 0.0)), 0.001),
        "quick": variant(made(0.01, name="quick"), 0.001),
        "hopeless": variant(made(0.0), 0.1),
    })
    assert found.program == "quick"
    reasons = {item["program"]: item["reason"] for item in found.tried}
    assert reasons["slow"] is None
    assert reasons["broken"] == "RuntimeError: no compiler"
    assert reasons["no training"] == "1 of 2 trainable weights never changed"
    assert reasons["hopeless"].startswith("not looked at any further")


def test_where_none_trains_it_says_why() -> None:
    with pytest.raises(RuntimeError, match="one: ValueError: this; two: KeyError"):
        fastest({"one": broken(ValueError("this")), "two": broken(KeyError())})


def test_what_is_missing_is_named_as_pip_names_it() -> None:
    one = Contender("pytorch", "e", "", "", {"json": "json", "no_such_module": "no-such-package"})
    assert one.missing() == ["no-such-package"]


def test_each_framework_has_its_letters() -> None:
    letters = {(item.framework, item.letter) for item in CONTENDERS.values()}
    assert letters == {("tensorflow", ""), ("tensorflow", "a"), ("tensorflow", "b"),
                       *(("pytorch", letter) for letter in ("", "a", "c", "d", "e", "f"))}


def test_texts_can_be_learned_and_are_the_same_again() -> None:
    x, y = arrays(WORKLOADS["lstm"])
    assert x.shape == (WORKLOADS["lstm"].examples, 100)
    assert x.dtype == np.int32
    assert 0 < x.min() <= x.max() < 10_000
    preferred = ((x >= 1050) & (x < 1100)).mean(axis=1)
    assert preferred[y == 1].mean() > 5 * preferred[y == 0].mean()
    np.testing.assert_array_equal(arrays(WORKLOADS["lstm"])[0], x)
