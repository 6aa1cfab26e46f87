"""Which phases a run has played: one that begins with the other framework's checkpoint has not played the first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.records.record import Record


def shared_losses(records: Sequence[Record]) -> list[np.ndarray]:
    """The losses of the steps of each record; where one of them began with the other framework's checkpoint, of the
    phases that all of them have played."""
    if not any(epochs_before(record) for record in records):
        return [record.losses for record in records]
    shared = set.intersection(*({str(phase.get("name")) for phase in record.phases} for record in records))
    found = []
    for record in records:
        names = record.columns.get("phase")
        whole = names is None or {str(phase.get("name")) for phase in record.phases} <= shared
        found.append(record.losses if whole else record.losses[np.isin(np.asarray(names, dtype=str), sorted(shared))])
    return found


def epochs_before(record: Record) -> int:
    """Epochs that the other framework played in this run's place: those of the first phase, where it is missing."""
    recipe = record.cell.get("recipe") or {}
    phases = recipe.get("phases") or []
    if not recipe.get("pretrained_in") or not phases or not record.phases:
        return 0
    first = phases[0]
    return 0 if record.phases[0].get("name", "").startswith(str(first.get("name"))) else int(first.get("epochs") or 1)
