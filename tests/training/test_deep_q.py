"""Deep Q-learning: the tape of moves, the targets, the target network, with a session that computes nothing."""

import gymnasium
import numpy as np
import pytest

from harness import SpecError, load_model
from harness.backends.contract import Played, State
from harness.plan.deep_q import ACTION, VALUE, epsilon, plan_games
from harness.spec.deep_q import DeepQLearning
from harness.spec.execution import Execution
from harness.spec.explicit import explicit
from harness.spec.game_sources import Gymnasium
from harness.spec.recipe import Recipe
from harness.training.deep_q import Player, check_source

SETTINGS = {"games": 2, "first_moves": 8, "replay_size": 40, "rounds_per_epoch": 3, "round_moves": 4, "round_steps": 2,
            "epsilon": [0.8, 0.2], "epsilon_moves": 10, "test_games": 3, "solved_games": 2}


class Corridor(gymnasium.Env):
    """One walks from the middle of a corridor of 5: action 1 to the right, 0 to the left; the right end pays 1 and ends
    the game; at the left end one stays. The state is the place, and what the start was drawn from."""

    observation_space = gymnasium.spaces.Box(-1, 2**31, (2,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.start = 2, float(self.np_random.integers(1000))
        return np.array([self.place, self.start]), {}

    def step(self, action):
        self.place = max(0, self.place + (1 if action else -1))
        return np.array([self.place, self.start]), float(self.place == 4), self.place == 4, False, {}


gymnasium.register("TestCorridor-v0", Corridor, max_episode_steps=6)
SOURCE = Gymnasium("TestCorridor-v0")


class Session:
    """Says that an action is worth 10 * action + place (of a target network: that with its sign turned, plus the number
    of copies); counts what it is asked for."""

    model = None

    def __init__(self, backend, plan, data):
        self.backend, self.plan, self.data = backend, plan, data
        self.loaded, self.trained, self.replaced, self.pending = [], [], [], 0

    def predict(self, x, batch_size):
        sign = 1 if self is self.backend.sessions[0] else -1
        values = sign * 10.0 * np.arange(2) + x["state"][:, :1] + len(self.loaded)
        return (values * x[ACTION]).sum(1, keepdims=True), values

    def replace(self, rows, data):
        self.replaced.append((rows, data))

    def train(self, start, stop):
        self.trained.append((start, stop))
        self.pending += stop - start

    def collect(self):
        played, self.pending = Played(np.ones(self.pending), None), 0
        return played

    def state(self):
        return State({"w": np.zeros(1)})

    def load(self, state):
        self.loaded.append(state)

    def wait(self):
        pass

    def close(self):
        pass

    def program(self):
        return "fake"


class Backend:
    name = "fake"

    def __init__(self):
        self.sessions = []

    def open(self, plan, state, data, execution):
        self.sessions.append(Session(self, plan, data))
        return self.sessions[-1]


def planned(seed=0, epochs=2, recipe=(), **settings):
    recipe = Recipe(loss={VALUE: "mse"}, batch_size=5, epochs=epochs, deep_q_learning={**SETTINGS, **settings},
                    **dict(recipe))
    spec = load_model("dqn", input_shape=(2,), with_action=True, units=3)
    return plan_games(spec, recipe, Execution(precision="float64"), seed, actions=2)


def player(**settings):
    return Player(Backend(), planned(**settings), SOURCE, Execution(precision="float64"), State({}), lambda: 0.0, None)


def test_everything_drawn_is_on_the_tape_before_anything_is_played():
    plan, same, other = planned(), planned(), planned(seed=1)
    tape = plan.plan.tape
    assert tape.indices.shape == (2 * 3 * 2, 5)
    for number in range(plan.rounds):  # no batch reaches beyond what is played by then
        start, stop = plan.steps(number)
        assert tape.indices[start:stop].max() < 8 + 4 * (number + 1)
    assert tape.indices.max() > 8 + 4
    assert tape.epochs.tolist() == [0] * 6 + [1] * 6
    for name in ("by_chance", "chosen"):
        assert np.array_equal(getattr(plan, name), getattr(same, name))
    assert len(plan.chosen) == 8 + 2 * 3 * 4
    assert plan.by_chance[:8].all()
    assert plan.plan.digest == same.plan.digest != other.plan.digest
    assert plan.game_seed(0, 0) not in (plan.game_seed(0, 1), plan.game_seed(1, 0), other.game_seed(0, 0))
    assert plan.test_seed(0, 0) == other.test_seed(0, 0)


def test_the_share_of_moves_by_chance_falls_in_a_straight_line_after_the_first_ones():
    shares = epsilon(DeepQLearning(**SETTINGS), 24)
    assert shares[:8].tolist() == [1.0] * 8
    assert shares[8:].tolist() == pytest.approx([0.8 - 0.06 * min(move, 10) for move in range(16)])


def test_the_games_are_played_as_the_tape_says_and_as_the_network_wants():
    playing = player()
    run = playing()
    plan, made = playing.plan, run.actions.reshape(-1)
    assert np.array_equal(made[plan.by_chance], plan.chosen[plan.by_chance])
    assert (made[~plan.by_chance] == 1).all()  # what the session says is worth more
    assert (~plan.by_chance).sum() > 4
    replay = playing.replay
    assert replay.moves == len(made) == 32
    assert np.array_equal(replay.taken[:32].argmax(1), made)
    steps = replay.next_states[:32, 0] - replay.states[:32, 0]
    assert np.array_equal(steps, np.where(made == 1, 1, np.where(replay.states[:32, 0] > 0, -1, 0)))
    assert run.played["returns"]
    assert set(run.played["lengths"]) <= set(range(2, 7))
    # Trained without chance it always goes to the right: two moves, one reward.
    assert run.test == [1.0] * 3
    assert [epoch["epoch"] for epoch in run.phase.epochs] == [1, 2]
    assert run.phase.steps == 12


def test_a_target_is_the_reward_and_what_the_target_network_says_of_the_next_state():
    playing = player()
    playing._play(16)
    replay, rows = playing.replay, np.arange(16)
    found = playing.targets(rows)
    # The target network thinks the best of the next state to be action 0: worth the place itself.
    wanted = replay.rewards[:16] + 0.99 * np.where(replay.next_states[:16, 0] == 4, 0.0, replay.next_states[:16, 0])
    assert found[:, 0] == pytest.approx(wanted)
    # Cut off after 6 moves a game is not over: its last state counts.
    assert any(game.length == 6 and game.returned == 0 for game in playing.games.played)
    assert (replay.goes_on[:16] == (replay.next_states[:16, 0] != 4)).all()


def test_with_double_the_network_itself_says_which_next_action_is_best():
    playing = player(double=True)
    playing._play(16)
    replay = playing.replay
    wanted = replay.rewards[:16] + 0.99 * np.where(
        replay.next_states[:16, 0] == 4, 0.0, replay.next_states[:16, 0] - 10)
    assert playing.targets(np.arange(16))[:, 0] == pytest.approx(wanted)


def test_the_target_network_is_copied_every_so_many_rounds_and_only_the_rows_of_a_round_are_sent():
    playing = player(target_rounds=2)
    playing()
    trained, target = playing.session, playing.target
    assert trained.trained == [(2 * number, 2 * number + 2) for number in range(6)]
    assert len(target.loaded) == 2  # before the rounds 2 and 4; the first ones are played with the first weights
    assert not target.trained
    for number, (rows, data) in enumerate(trained.replaced):
        assert np.array_equal(rows, np.unique(playing.plan.plan.tape.indices[2 * number : 2 * number + 2]))
        assert np.array_equal(data.x["state"], playing.replay.states[rows])
        assert data.y[VALUE].shape == (len(rows), 1)


def test_a_full_replay_gives_the_place_of_the_oldest_move():
    playing = player(replay_size=12)
    playing._play(20)
    fresh = player()
    fresh._play(20)
    assert np.array_equal(playing.replay.states[:8], fresh.replay.states[12:20])
    assert np.array_equal(playing.replay.states[8:], fresh.replay.states[8:12])


def test_training_ends_with_the_round_in_which_it_is_solved():
    playing = player(solved=0.5, epsilon=0.0)
    run = playing()
    assert run.solved_at is not None
    assert run.phase.stopped_early
    assert run.phase.steps < 12
    assert np.mean(run.played["returns"][:run.solved_at][-2:]) >= 0.5


@pytest.mark.parametrize(("change", "message"), [
    ({"recipe": {"metrics": ["mse"]}}, "metrics does not go with deep_q_learning"),
    ({"recipe": {"phases": [{"name": "a"}]}}, "phases does not go with deep_q_learning"),
    ({"round_moves": 5}, "round_moves is 5, and 2 games make a move at a time"),
    ({"replay_size": 4}, "cannot keep what is played before a training"),
    ({"epsilon": [1.0, 2.0]}, "less than or equal to 1"),
    ({"gamma": 0.9}, "there is no argument 'gamma'"),
])
def test_what_does_not_fit_together_is_named(change, message):
    with pytest.raises(SpecError, match=message):
        planned(**change)


@pytest.mark.parametrize(("model", "loss", "actions", "message"), [
    ({"input_shape": (2,)}, "mse", 2, "there is no 'action' among 'state'"),
    ({"input_shape": (2,), "with_action": True}, {VALUE: "mse"}, 3, "the game has 3 actions"),
    ({"input_shape": (2,), "with_action": True}, "mse", 2, "the output 'action_value' alone has a loss"),
])
def test_a_model_that_cannot_play_is_refused(model, loss, actions, message):
    recipe = Recipe(loss=loss, deep_q_learning={})
    with pytest.raises(SpecError, match=message):
        plan_games(load_model("dqn", **model), recipe, Execution(), 0, actions=actions)


def test_what_was_recorded_before_keeps_its_id():
    assert "deep_q_learning" not in explicit(Recipe(loss="mse"))
    written = explicit(Recipe(loss={VALUE: "mse"}, deep_q_learning={"solved": 475}))
    assert Recipe.parse(written).deep_q_learning == DeepQLearning(solved=475)
    assert written["deep_q_learning"]["epsilon"] == [1.0, 0.02]


def test_only_a_game_can_be_played_and_only_in_the_tuned_tier():
    with pytest.raises(SpecError, match=r"plays a game, the data is 'arrays'"):
        check_source(None)
    recipe = Recipe(loss={VALUE: "mse"}, deep_q_learning={})
    with pytest.raises(SpecError, match=r"Use tier: tuned"):
        plan_games(load_model("dqn", with_action=True), recipe, Execution(tier="idiomatic"), 0, actions=2)
