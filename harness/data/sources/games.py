"""Games of gymnasium as data: the moves of a player who chooses by chance."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.data.dataset import Arrays, Raw
from harness.data.games import by_chance
from harness.errors import SpecError
from harness.spec import game_sources, sources


def read(source: sources.Source, base: Path | None) -> Raw:
    """x {"state", "action"}, y {"action_value"}."""
    assert isinstance(source, game_sources.Gymnasium)
    x, values = by_chance(source)
    return Raw(Arrays(x, {"action_value": values}), name=source.environment,
               notes=[f"{len(values)} moves of a player who chooses by chance."])


def identity(source: sources.Source, base: Path | None) -> dict[str, Any]:
    try:
        return {"gymnasium": version("gymnasium")}
    except PackageNotFoundError:
        raise SpecError("games need gymnasium, which is not installed.", where="data.source.gymnasium",
                        hint="pip install harness[rl]") from None
