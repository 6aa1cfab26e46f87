"""The table of trainings on games."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.games import GamesPlayed
from harness.analysis.settings import backend_title
from harness.report.tables import Table
from harness.report.wording import ABSENT, number, shown

COLUMNS = ["game", "seed", "framework", "games", "moves", "mark", "reached after", "without chance: mean", "least",
           "first games alike"]


def table(found: Sequence[GamesPlayed]) -> Table:
    """A row for each training; no rows where no game was played."""
    rows = [
        [shown(item.environment), str(item.seed), shown(backend_title(item.backend)), str(item.games), str(item.moves),
         ABSENT if item.mark is None else number(item.mark),
         ABSENT if item.solved_at is None else f"{item.solved_at} games", number(item.mean), number(item.least),
         ABSENT if item.same_games is None else str(item.same_games)]
        for item in sorted(found, key=lambda item: (item.environment, item.seed or 0, item.backend))
    ]
    caption = (
        "Moves: up to the mark where it was reached, a mean return of the last games of the training. Without chance: "
        "the trained network's own choice in games of starts that every training shares. First games alike: how many "
        "games of the training were the same in both frameworks before the first one that was not."
    )
    return Table("Games", caption, COLUMNS, rows)
