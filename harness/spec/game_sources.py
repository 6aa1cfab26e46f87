"""Games as a source of data."""

from typing import Annotated

from pydantic import Field

from harness.spec.sources import Source

# What a JSON or YAML file can hold as one argument of a game.
Argument = bool | int | float | str | None


class Gymnasium(Source):
    """A game of gymnasium (`pip install harness[rl]`), by its id: what a recipe with `deep_q_learning` plays.

    As data by itself: `examples` moves of a player who chooses by chance alone, x {"state": [n, ...], "action": [n,
    actions], one-hot}, y {"action_value": [n, 1]}: the rewards from that move to the end of its game, each later one
    worth `discount` times as much. arguments: of gymnasium.make (max_episode_steps, or the game's own).
    """

    # No "module:Name", which would run code that a spec names.
    environment: Annotated[str, Field(pattern=r"^[\w./-]+$")]
    arguments: dict[str, Argument] = Field(default_factory=dict)
    examples: int = Field(default=2000, ge=1)
    discount: float = Field(default=0.99, ge=0, le=1)
    seed: int = Field(default=0, ge=0)

    @property
    def name(self) -> str:
        return self.environment
