"""Games of gymnasium, played on the host, once for both backends: one move of each of several games at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import DataError, SpecError
from harness.spec.game_sources import Gymnasium

SeedOf = Callable[[int, int], int]  # (game, how many it has played before) -> what its start is drawn from


@dataclass(frozen=True)
class Moves:
    """One move of each game. states, next_states [games, ...]: before and after; rewards float64 [games].

    terminated: the game is over. ended: over, or cut off by the limit of its length (then the next state still has a
    value). A game that ended has begun anew: its next state here is its last one.
    """

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_states: np.ndarray
    terminated: np.ndarray
    ended: np.ndarray


@dataclass(frozen=True)
class Played:
    """A game that ended: the sum of its rewards, its number of moves, and at which move of all it ended."""

    returned: float
    length: int
    at: int


class Games:
    """`count` games side by side. states [count, *shape]: where each stands. played: those that ended, in order."""

    def __init__(self, source: Gymnasium, count: int, seed_of: SeedOf) -> None:
        self.environments = [make(source) for _ in range(count)]
        self.shape, self.actions = spaces(self.environments[0], source.environment)
        self.first_action = int(getattr(self.environments[0].action_space, "start", 0))
        self.seed_of = seed_of
        self.played: list[Played] = []
        self.begun = [0] * count
        self.returned, self.lengths = [0.0] * count, [0] * count
        self.moves = 0
        self.states = np.stack([self._begin(game) for game in range(count)])

    def _begin(self, game: int) -> np.ndarray:
        seed = self.seed_of(game, self.begun[game])
        self.begun[game] += 1
        self.returned[game], self.lengths[game] = 0.0, 0
        state, _ = self.environments[game].reset(seed=seed)
        return np.asarray(state, np.float32)

    def move(self, actions: np.ndarray) -> Moves:
        """Makes one move in each game. actions: int [games], from 0."""
        states, count = self.states, len(self.environments)
        next_states, rewards = np.empty_like(states), np.zeros(count)
        terminated, ended = np.zeros(count, bool), np.zeros(count, bool)
        self.states = states.copy()
        for game, environment in enumerate(self.environments):
            state, reward, over, cut, _ = environment.step(int(actions[game]) + self.first_action)
            next_states[game], rewards[game], terminated[game] = state, float(reward), bool(over)
            ended[game] = bool(over) or bool(cut)
            self.moves += 1
            self.returned[game] += float(reward)
            self.lengths[game] += 1
            if ended[game]:
                self.played.append(Played(self.returned[game], self.lengths[game], self.moves))
            self.states[game] = self._begin(game) if ended[game] else next_states[game]
        return Moves(states, np.asarray(actions, np.int64), rewards, next_states, terminated, ended)

    def close(self) -> None:
        for environment in self.environments:
            environment.close()


def make(source: Gymnasium) -> Any:
    """The game. Raises SpecError where gymnasium is missing, or does not know it."""
    try:
        import gymnasium
    except ImportError:
        raise SpecError("games need gymnasium, which is not installed.", where="data.source.gymnasium",
                        hint="pip install harness[rl]") from None
    try:
        arguments: dict[str, Any] = dict(source.arguments)
        return gymnasium.make(source.environment, **arguments)
    except gymnasium.error.Error as error:
        raise SpecError(f"gymnasium has no such game: {error}", where="data.source.gymnasium.environment",
                        hint="Write its id, for example CartPole-v1.") from None
    except (TypeError, ImportError) as error:
        raise SpecError(f"gymnasium cannot make {source.environment!r}: {error}.",
                        where="data.source.gymnasium") from None


def spaces(environment: Any, name: str) -> tuple[tuple[int, ...], int]:
    """(the shape of a state, the number of actions). Raises SpecError for what no Q-network can play."""
    from gymnasium.spaces import Box, Discrete

    states, actions = environment.observation_space, environment.action_space
    if not isinstance(states, Box) or not isinstance(actions, Discrete):
        raise SpecError(f"{name!r} has states of {type(states).__name__} and actions of {type(actions).__name__}; "
                        "expected states that are arrays (Box) and actions that are counted (Discrete).",
                        where="data.source.gymnasium.environment")
    return tuple(states.shape), int(actions.n)


def one_hot(actions: np.ndarray, count: int) -> np.ndarray:
    """float32 [moves, count]."""
    return np.eye(count, dtype=np.float32)[actions]


def discounted(rewards: np.ndarray, discount: float) -> np.ndarray:
    """float64 [moves] of one game: the rewards from each move on, a later one worth `discount` times as much."""
    values = np.zeros(len(rewards))
    total = 0.0
    for place in range(len(rewards) - 1, -1, -1):
        total = rewards[place] + discount * total
        values[place] = total
    return values


def by_chance(source: Gymnasium) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """({"state", "action"}, values [n, 1]) of the source's examples: whole games played by chance, the last one cut."""
    generator = np.random.default_rng(source.seed)
    games = Games(source, 1, lambda game, number: int(generator.integers(2**31)))
    states: list[np.ndarray] = []
    actions: list[int] = []
    rewards: list[float] = []
    values: list[float] = []
    try:
        while len(values) < source.examples:
            moved = games.move(generator.integers(games.actions, size=1))
            states.append(moved.states[0])
            actions.append(int(moved.actions[0]))
            rewards.append(float(moved.rewards[0]))
            if moved.ended[0]:
                values.extend(discounted(np.array(rewards), source.discount))
                rewards = []
            elif len(rewards) > 1_000_000:
                raise DataError("a game by chance did not end within a million moves.", where="data.source.gymnasium",
                                hint="Give it a limit: arguments: {max_episode_steps: 500}.")
    finally:
        games.close()
    kept = slice(source.examples)
    x = {"state": np.stack(states[kept]), "action": one_hot(np.array(actions[kept]), games.actions)}
    return x, np.array(values[kept])[:, None]
