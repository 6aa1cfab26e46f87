"""What deep Q-learning played: when it was good enough, what it does without chance, how long two frameworks agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.records.record import Record

COLUMNS = ("returns", "lengths", "ended_at")


@dataclass(frozen=True)
class GamesPlayed:
    """One training. solved_at: the number of games after which the mean return of the last `span` first reached `mark`
    (None: never, or no mark); moves: those played by then, else all. mean, least: the return without chance, over
    `tested` starts. same_games: how many games of the training, from the first, are the same as its twin's in the other
    framework, move for move as far as return, length and place can tell; None without a twin."""

    backend: str
    seed: int | None
    environment: str
    games: int
    moves: int
    solved_at: int | None
    mark: float | None
    mean: float
    least: float
    tested: int
    same_games: int | None = None


def games_played(records: Sequence[Record]) -> list[GamesPlayed]:
    """One entry for each finished training on a game."""
    found = [record for record in records if record.status == "done" and record.data.get("games")]
    return [_played(record, _twin(record, found)) for record in found]


def _played(record: Record, twin: Record | None) -> GamesPlayed:
    games: Mapping[str, Any] = record.data["games"]
    settings = record.cell["recipe"].get("deep_q_learning") or {}
    mark = settings.get("solved")
    solved = None if mark is None else reached(games["returns"], mark, settings.get("solved_games", 100))
    tested = np.asarray(games["test_returns"], np.float64)
    return GamesPlayed(
        record.backend, record.seed, str(games["environment"]), len(games["returns"]),
        int(games["moves"] if solved is None else games["ended_at"][solved - 1]), solved, mark, float(tested.mean()),
        float(tested.min()), len(tested), None if twin is None else same_games(record, twin),
    )


def reached(returns: Sequence[float], mark: float, span: int) -> int | None:
    """The number of games after which the mean of the last `span` is first at least `mark`; None if it never is."""
    if len(returns) < span:
        return None
    sums = np.cumsum([0.0, *returns])
    good = np.flatnonzero((sums[span:] - sums[:-span]) / span >= mark)
    return int(good[0]) + span if len(good) else None


def same_games(a: Record, b: Record) -> int:
    """How many games are the same in both, from the first on."""
    first, second = (list(zip(*(record.data["games"][name] for name in COLUMNS), strict=True)) for record in (a, b))
    alike = [x == y for x, y in zip(first, second, strict=False)]
    return alike.index(False) if False in alike else len(alike)


def _twin(record: Record, others: Sequence[Record]) -> Record | None:
    """The training of the same cell in another framework: the same plan."""
    plan = (record.data.get("plan") or {}).get("digest")
    return next((other for other in others if other.backend != record.backend and other.seed == record.seed
                 and (other.data.get("plan") or {}).get("digest") == plan
                 and other.cell.get("execution") == record.cell.get("execution")), None)
