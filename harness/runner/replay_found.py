"""What became of a bundle that was replayed: its runs, its timings, and the one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.runner.replay_judging import Row

SAME, WITHIN, PARTED, UNREPEATABLE = "same to the bit", "within the band", "does not hold", "could not be replayed"


@dataclass(frozen=True)
class Replayed:
    """One run of the bundle. outcome: SAME, WITHIN, PARTED or UNREPEATABLE. rows: every figure, with what was found."""

    id: str
    title: str
    outcome: str
    rows: list[Row]

    @property
    def holds(self) -> bool:
        return self.outcome in (SAME, WITHIN)


@dataclass(frozen=True)
class Replay:
    """What became of a bundle. timing: setting's title -> its rows. differences: of the two environments."""

    digest: str
    runs: list[Replayed]
    timing: dict[str, list[Row]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    results: Path | None = None

    @property
    def holds(self) -> bool:
        """Whether every figure that can be judged here is what the bundle says."""
        timed = [row for rows in self.timing.values() for row in rows]
        return all(run.holds for run in self.runs) and not any(row.holds is False for row in timed)

    @property
    def sentence(self) -> str:
        counts: dict[str, int] = {}
        for run in self.runs:
            counts[run.outcome] = counts.get(run.outcome, 0) + 1
        listing = ", ".join(f"{name} in {count}" for name, count in counts.items())
        plural = "run" if len(self.runs) == 1 else "runs"
        word = "The figures hold" if self.holds else "The figures do not hold"
        timed = [row for rows in self.timing.values() for row in rows if row.holds is not None]
        apart = sum(row.holds is False for row in timed)
        speed = f"; of {len(timed)} timings {apart} differ" if timed else ""
        return f"{word}: of {len(self.runs)} {plural}, {listing}{speed}."

    def to_data(self) -> dict[str, Any]:
        return {
            "holds": self.holds, "sentence": self.sentence, "digest": self.digest, "environment": self.differences,
            "runs": [{"id": run.id, "title": run.title, "outcome": run.outcome, "holds": run.holds,
                      "figures": [row.to_data() for row in run.rows]} for run in self.runs],
            "timing": {title: [row.to_data() for row in rows] for title, rows in self.timing.items()},
            "results": None if self.results is None else str(self.results),
        }
