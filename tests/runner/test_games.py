"""CartPole played and learned by both frameworks, in an experiment: the same games, move by move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import SpecError
from harness.runner.check import check
from harness.runner.driver import run
from harness.spec.experiment import Experiment, read_experiment

EXPERIMENT = Path(__file__).resolve().parents[2] / "experiments" / "dqn_cartpole.yaml"
SMALL = {
    "name": "small", "model": {"dqn": {"with_action": True, "units": [8, 8]}},
    "data": {"source": {"gymnasium": {"environment": "CartPole-v1", "examples": 200}}},
    "recipe": {"loss": {"action_value": "mse"}, "optimizer": {"Adam": {"learning_rate": 0.01}}, "batch_size": 16,
               "epochs": 3, "deep_q_learning": {
                   "games": 4, "first_moves": 64, "replay_size": 256, "round_moves": 32, "round_steps": 8,
                   "target_rounds": 2, "epsilon": [0.5, 0.1], "epsilon_moves": 200, "double": True, "test_games": 5}},
    "execution": {"precision": "float64", "device": "cpu"},
    "matrix": {"backend": ["tensorflow", "pytorch"], "seed": [0]}, "timing": False,
    "verdict": {"primary": "test_mean_return"},
}


def test_the_experiment_is_sound():
    cells = check(read_experiment(EXPERIMENT))
    assert {cell.backend for cell in cells} == {"tensorflow", "pytorch"}
    assert {cell.model.output_names for cell in cells} == {("action_value", "action_values")}


def test_a_mistake_is_found_before_anything_runs():
    wrong = {**SMALL, "model": "dqn"}
    with pytest.raises(SpecError, match="there is no 'action' among 'state'"):
        check(Experiment.parse(wrong))
    model = {"dqn": {"with_action": True, "input_shape": [4]}}
    with pytest.raises(SpecError, match="plays a game, the data is 'digits'"):
        check(Experiment.parse({**SMALL, "data": "digits", "model": model}))


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    results = run(SMALL, out=tmp_path_factory.mktemp("games") / "results", certify=True)
    return results, {record.backend: record for record in results.records()}


@pytest.mark.sweep
@pytest.mark.frameworks
def test_both_frameworks_play_the_same_games_and_take_the_same_steps(played):
    results, records = played
    assert {name: record.status for name, record in records.items()} == {"tensorflow": "done", "pytorch": "done"}
    ours, theirs = records["tensorflow"], records["pytorch"]
    assert ours.data["plan"] == theirs.data["plan"]
    assert ours.data["games"] == theirs.data["games"]
    assert len(ours.data["games"]["returns"]) > 5
    assert len(set(ours.data["games"]["returns"])) > 3
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-8)
    for name, weight in ours.weights.items():
        np.testing.assert_allclose(weight, theirs.weights[name], rtol=1e-6, atol=1e-9)
    assert ours.test == theirs.test == {"mean_return": np.mean(ours.data["games"]["test_returns"])}
    assert results.which().comparisons[0].quality.measure == "test_mean_return"


@pytest.mark.sweep
@pytest.mark.frameworks
def test_the_training_step_is_certified_on_moves_by_chance(played):
    results, _ = played
    (found,) = results.certificates().values()
    assert found["sentence"] == "same to rounding"
