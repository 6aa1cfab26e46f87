"""Trainings on games: when the mark was reached, and how long two frameworks played the same games."""

from types import SimpleNamespace

import pytest

from harness.analysis.games import games_played, reached
from harness.report.games import table


def record(backend, returns, seed=0, plan="p", solved=2.0, **more):
    games = {"environment": "CartPole-v1", "returns": returns, "lengths": [int(value) for value in returns],
             "ended_at": [10 * (number + 1) for number in range(len(returns))], "moves": 90, "test_returns": [4.0, 2.0]}
    recipe = {"deep_q_learning": {"solved": solved, "solved_games": 2}}
    return SimpleNamespace(backend=backend, seed=seed, status=more.pop("status", "done"),
                           cell={"recipe": recipe, "execution": {}}, data={"games": games, "plan": {"digest": plan}})


@pytest.mark.parametrize(("returns", "mark", "number"), [
    ([1, 1, 3, 5], 2, 3), ([1, 1, 3, 5], 4, 4), ([1, 1, 3, 5], 5, None), ([9], 2, None), ([9, 9], 9, 2),
])
def test_the_mark_is_reached_by_the_mean_of_the_last_games(returns, mark, number):
    assert reached(returns, mark, 2) == number


def test_games_are_compared_from_the_first_to_the_first_that_differs():
    records = [record("tensorflow", [1, 1, 3, 5]), record("pytorch", [1, 1, 4, 5]), record("pytorch", [1, 1], seed=1),
               record("tensorflow", [1], seed=1, plan="q"), record("pytorch", [3, 3], seed=2, status="failed"),
               SimpleNamespace(status="done", data={}, backend="pytorch")]
    found = games_played(records)
    assert [(item.backend, item.seed, item.same_games) for item in found] == [
        ("tensorflow", 0, 2), ("pytorch", 0, 2), ("pytorch", 1, None), ("tensorflow", 1, None)]
    assert (found[0].solved_at, found[0].moves, found[0].mean, found[0].least) == (3, 30, 3.0, 2.0)
    assert (found[2].solved_at, found[2].moves) == (None, 90)


def test_the_report_has_a_row_for_each_training():
    rows = table(games_played([record("tensorflow", [1, 1, 3]), record("pytorch", [1, 1, 3])])).rows
    assert rows == [["CartPole-v1", "0", framework, "3", "30", "2", "3 games", "3", "2", "3"]
                    for framework in ("PyTorch", "TensorFlow")]
    assert not table([]).rows
