"""Deep Q-learning with nothing left to choose: which moves are made by chance and which then, from which seed each game
starts, which of the kept moves make each batch. How far the replay is filled at a step follows from the settings
alone, so that all of it is drawn from the seed before a framework is loaded; what the network chooses is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.errors import SpecError, did_you_mean
from harness.plan.compiler import compile_phase
from harness.plan.plan import Plan
from harness.plan.randomness import generator
from harness.spec.deep_q import DeepQLearning
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe

# The names that the trained model's tensors have: inputs, then outputs. A state may be called as one likes.
ACTION, VALUE, ACTION_VALUES = "action", "action_value", "action_values"
MODEL = (
    f"A model for deep_q_learning takes a state and {ACTION!r} (one-hot), and gives {VALUE!r} (batch, 1), of that "
    f"action, and {ACTION_VALUES!r} (batch, actions): models/dqn.py with with_action=true."
)
# What a recipe says of a training on data, and means nothing here.
OF_DATA = ("phases", "metrics", "weighted_metrics", "class_weight", "early_stopping", "keep_best", "drop_last",
           "pretrained_in")


@dataclass(frozen=True)
class GamePlan:
    """The training's plan and the tape of its moves. by_chance bool [moves], chosen int64 [moves]: whether the network
    is asked, and the action where it is not. state: the name of the model's input that takes it."""

    plan: Plan
    settings: DeepQLearning
    epochs: int
    seed: int
    state: str
    by_chance: np.ndarray
    chosen: np.ndarray

    @property
    def rounds(self) -> int:
        return self.epochs * self.settings.rounds_per_epoch

    def steps(self, number: int) -> tuple[int, int]:
        """[start, stop) of the steps of a round."""
        return number * self.settings.round_steps, (number + 1) * self.settings.round_steps

    def round_rows(self, number: int) -> np.ndarray:
        """The places in the replay that a round's batches are gathered from, each once, ascending."""
        start, stop = self.steps(number)
        return np.unique(self.plan.tape.indices[start:stop])

    def game_seed(self, game: int, number: int) -> int:
        """What the start of a game is drawn from; number: how many were played in its place before."""
        return int(generator(self.seed, "game", game, number).integers(2**31))

    def test_seed(self, game: int, number: int) -> int:
        """The same of the games of the test, which are the same for every seed of the training."""
        return int(generator(0, "test game", game, number).integers(2**31))

    @cached_property
    def action_values(self) -> int:
        """The place of the output with all actions' values."""
        return self.plan.spec.output_names.index(ACTION_VALUES)


def plan_games(
    spec: ModelSpec, recipe: Recipe, execution: Execution, seed: int, *, actions: int,
) -> GamePlan:
    """The plan of a training on games with so many actions. Raises SpecError for what does not fit together."""
    check_recipe(recipe, execution)
    state = check_model(spec, actions)
    settings = recipe.deep_q_learning
    assert settings is not None
    (phase,) = recipe.resolved_phases()
    moves = settings.moves(recipe.epochs)
    plan = compile_phase(spec, phase, index=0, examples=settings.replay_size, seed=seed, dtype=execution.dtype,
                         batches=batches(settings, recipe, seed))
    if [output.name for output in plan.outputs] != [VALUE]:
        raise SpecError(f"with deep_q_learning the output {VALUE!r} alone has a loss.", where="recipe.loss",
                        hint=f"Write loss: {{{VALUE}: mse}}.")
    epochs = np.repeat(np.arange(recipe.epochs, dtype=np.int32), settings.rounds_per_epoch * settings.round_steps)
    drawn = generator(seed, "exploration")
    return GamePlan(
        replace(plan, tape=replace(plan.tape, epochs=epochs)), settings, recipe.epochs, seed, state,
        by_chance=drawn.random(moves) < epsilon(settings, moves), chosen=drawn.integers(actions, size=moves),
    )


def epsilon(settings: DeepQLearning, moves: int) -> np.ndarray:
    """float64 [moves]: the share of moves by chance at each move."""
    first, last = settings.epsilon
    passed = np.clip((np.arange(moves) - settings.first_moves) / settings.epsilon_moves, 0.0, 1.0)
    return np.where(np.arange(moves) < settings.first_moves, 1.0, first + (last - first) * passed)


def batches(settings: DeepQLearning, recipe: Recipe, seed: int) -> np.ndarray:
    """int32 [steps, batch]: places in the replay, of those that are filled when the step is played."""
    drawn = generator(seed, "replay")
    shape = (settings.round_steps, recipe.batch_size)
    filled = settings.first_moves + settings.round_moves * np.arange(
        1, recipe.epochs * settings.rounds_per_epoch + 1)
    return np.concatenate([drawn.integers(min(int(count), settings.replay_size), size=shape, dtype=np.int32)
                           for count in filled])


def check_recipe(recipe: Recipe, execution: Execution) -> None:
    """Raises SpecError for what goes with data alone."""
    for name in OF_DATA:
        if getattr(recipe, name) not in (None, (), False, {}):
            raise SpecError(f"{name} does not go with deep_q_learning: no set of examples is gone through.",
                            where=f"recipe.{name}", hint="Leave it out; epochs and rounds_per_epoch say how long.")
    if execution.tier != "tuned":
        raise SpecError("deep_q_learning exchanges examples on the device, which a DataLoader or model.fit does not.",
                        where="execution.tier", hint="Use tier: tuned.")


def check_model(spec: ModelSpec, actions: int) -> str:
    """The name of the input that takes a state. Raises SpecError for a model that cannot play."""
    where = f"model {spec.name!r}"
    inputs = {item.name: item.shape for item in spec.inputs}
    outputs = dict(zip(spec.output_names, (spec.tensors[name] for name in spec.outputs), strict=True))
    for name, shape, known in ((ACTION, (None, actions), inputs), (VALUE, (None, 1), outputs),
                               (ACTION_VALUES, (None, actions), outputs)):
        if name not in known:
            raise SpecError(f"there is no {name!r} among {_listing(known)}. {did_you_mean(name, known)}".rstrip(),
                            where=where, hint=MODEL)
        if known[name][1:] != shape[1:]:
            raise SpecError(f"{name!r} has the shape {known[name][1:]}, the game has {actions} actions: expected "
                            f"{shape[1:]}.", where=where, hint=MODEL)
    if len(inputs) != 2:
        raise SpecError(f"expected two inputs, a state and {ACTION!r}, got {_listing(inputs)}.", where=where,
                        hint=MODEL)
    return next(name for name in inputs if name != ACTION)


def _listing(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
