"""Deep Q-learning (Mnih et al. 2015, https://doi.org/10.1038/nature14236): how a network learns a game that it plays.

    recipe:
      loss: {action_value: mse}
      epochs: 40
      deep_q_learning: {round_moves: 64, round_steps: 64, solved: 195}

A *move* is one step of a game: a state, an action, a reward, the next state. A *step* is one of the optimizer, as
everywhere. The two take turns: in a *round* the network, as it is, plays `round_moves`, and is then trained for
`round_steps` on batches of all moves that are kept (train_freq and gradient_steps of other libraries).
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from harness.errors import SpecError
from harness.spec.configured import Configured


def _pair(value: Any) -> Any:
    """One share of moves by chance stands for both ends."""
    return (value, value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class DeepQLearning(Configured):
    """How the moves are made, kept and learned from. The recipe's epochs count rounds: `rounds_per_epoch` in each.

    games: played side by side, one move of each at a time. first_moves: by chance alone, before the first round.
    replay_size: moves that are kept; a new one then takes the oldest one's place. target_rounds: the target network is
    a copy of the network, made anew every so many rounds. discount: gamma, of the value of the next state. epsilon: the
    share of the moves that are made by chance, [at first, at last], falling in a straight line over `epsilon_moves`
    after the first ones. double: the network itself says which next action is best, the target network what it is worth
    (van Hasselt et al. 2016, https://arxiv.org/abs/1509.06461). solved: training ends with the round in which the mean
    return of the last `solved_games` games reaches it; None plays to the end. test_games: played by the trained network
    without chance.
    """

    games: int = Field(default=8, ge=1, le=1024)
    first_moves: int = Field(default=1024, ge=1)
    replay_size: int = Field(default=50_000, ge=1, le=2**24)
    rounds_per_epoch: int = Field(default=16, ge=1)
    round_moves: int = Field(default=64, ge=1)
    round_steps: int = Field(default=64, ge=1)
    target_rounds: int = Field(default=2, ge=1)
    discount: Share = 0.99
    epsilon: Annotated[tuple[Share, Share], BeforeValidator(_pair)] = (1.0, 0.02)
    epsilon_moves: int = Field(default=5000, ge=1)
    double: bool = False
    solved: Annotated[float, Field(allow_inf_nan=False)] | None = None
    solved_games: int = Field(default=100, ge=1)
    test_games: int = Field(default=100, ge=1, le=10_000)

    @classmethod
    def canonical_name(cls) -> str:
        return "deep_q_learning"

    @classmethod
    def parse(cls, value: Any) -> "DeepQLearning | None":
        """Reads a mapping of the arguments; None for a training on data."""
        if value is None or isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise SpecError(f"expected a mapping, got {value!r}.", hint="Write deep_q_learning: {round_moves: 256}.")
        return cls(**{str(key): item for key, item in value.items()})

    @model_validator(mode="after")
    def _whole_rows_of_games(self) -> "DeepQLearning":
        for name in ("first_moves", "round_moves"):
            if getattr(self, name) % self.games:
                raise SpecError(f"{name} is {getattr(self, name)}, and {self.games} games make a move at a time.",
                                hint=f"Choose a multiple of {self.games}, or other `games`.")
        if self.replay_size < max(self.round_moves, self.first_moves):
            raise SpecError(f"a replay of {self.replay_size} moves cannot keep what is played before a training: "
                            f"first_moves {self.first_moves}, round_moves {self.round_moves}.")
        return self

    def to_data(self) -> Any:
        return self.config()

    def moves(self, epochs: int) -> int:
        """All moves of so many epochs."""
        return self.first_moves + epochs * self.rounds_per_epoch * self.round_moves
