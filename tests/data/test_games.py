"""Games as data: moves by chance, and the games that no Q-network can play."""

import sys

import numpy as np
import pytest

from harness import SpecError
from harness.data import load
from harness.data.games import discounted, make, spaces
from harness.data.loading import identity
from harness.spec.dataset import DatasetSpec
from harness.spec.game_sources import Gymnasium


def cartpole(**arguments):
    return {"source": {"gymnasium": {"environment": "CartPole-v1", **arguments}}, "split": {"validation": 0, "test": 0}}


def test_rewards_to_come_are_discounted():
    assert discounted(np.array([1.0, 0.0, 2.0]), 0.5).tolist() == [1.5, 1.0, 2.0]


def test_moves_by_chance_are_a_set_of_data():
    dataset, again, other = (load(cartpole(examples=300, seed=seed)) for seed in (3, 3, 4))
    x, values = dataset.train.x, dataset.train.y["action_value"]
    assert x["state"].shape == (300, 4)
    assert x["action"].shape == (300, 2)
    assert (x["action"].sum(1) == 1).all()
    assert values.shape == (300, 1)
    # Every move of CartPole pays 1: the last of a game is worth 1, none less, and none more than 1 / (1 - 0.99).
    assert values.min() == 1
    assert 10 < values.max() < 100
    assert dataset.classes is None
    assert dataset.fingerprint == again.fingerprint != other.fingerprint
    assert dataset.name == "CartPole-v1"


def test_the_source_is_read_in_every_notation_and_known_by_its_version():
    spec = DatasetSpec.parse(cartpole(arguments={"max_episode_steps": 200}))
    assert DatasetSpec.parse(spec.to_data()) == spec
    assert spec.source == Gymnasium("CartPole-v1", {"max_episode_steps": 200})
    environment = make(spec.source)
    assert environment.spec.max_episode_steps == 200
    assert spaces(environment, "CartPole-v1") == ((4,), 2)
    assert set(identity(spec)) == {"source", "gymnasium"}


@pytest.mark.parametrize(("arguments", "message"), [
    ({"environment": "CartPole-v9"}, "gymnasium has no such game"),
    ({"environment": "os:CartPole-v1"}, "environment"),
    ({"environment": "Pendulum-v1"}, "actions of Box"),
    ({"environment": "CartPole-v1", "arguments": {"gravitas": 3}}, "gymnasium cannot make 'CartPole-v1'"),
])
def test_what_cannot_be_played_is_refused(arguments, message):
    with pytest.raises(SpecError, match=message):
        load({"source": {"gymnasium": arguments}})


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(SpecError, match=r"pip install harness\[rl\]"):
        make(Gymnasium("CartPole-v1"))
