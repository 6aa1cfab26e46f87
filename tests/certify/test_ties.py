"""Rounding decides an update only where an optimizer takes the sign of a momentum that is zero but for rounding."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.certify.rungs import Pair
from harness.certify.ties import tied_updates
from harness.spec.optimizers import Adam, Lion

MOMENTUM = np.array([0.5, -0.2, 1e-17, 0.3])
CHANGE = np.array([-0.02, 0.02, -0.02, -0.02])


def plan(optimizer=None):
    names = ("dense/kernel", "dense/bias")
    return SimpleNamespace(optimizer=optimizer or Lion(), trainable=[SimpleNamespace(name=name) for name in names])


def side(change=CHANGE, momentum=MOMENTUM, bias=0.02):
    return {"slot momentum dense/kernel": momentum, "change dense/kernel": change,
            "slot momentum dense/bias": np.array([0.1]), "change dense/bias": np.array([bias])}


def flipped(index):
    change = CHANGE.copy()
    change[index] *= -1
    return change


def test_a_sign_of_nothing_but_rounding_is_a_tie():
    momentum = np.where(np.arange(4) == 2, 0.0, MOMENTUM)
    change = np.where(np.arange(4) == 2, 0.0, CHANGE)
    assert tied_updates(plan(), Pair(side(), side(flipped(2)))) == {"dense/kernel": 1}
    assert tied_updates(plan(), Pair(side(), side(change, momentum))) == {"dense/kernel": 1}


@pytest.mark.parametrize("other", [
    side(flipped(1)),  # the sign of a momentum that is none of rounding
    side(flipped(2), bias=-0.02),  # a tie, and a difference beside it
    side(flipped(2), momentum=np.array([0.5, -0.2, 1e-3, 0.3])),  # zero in one of them alone
])
def test_any_other_difference_is_none(other):
    assert tied_updates(plan(), Pair(side(), other)) == {}


def test_equal_updates_and_other_optimizers_have_none():
    assert tied_updates(plan(), Pair(side(), side())) == {}
    assert tied_updates(plan(Adam()), Pair(side(), side(flipped(2)))) == {}
