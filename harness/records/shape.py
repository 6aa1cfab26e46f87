"""Whether the contents of a run.json have the shape that all readers rely on; said of records from elsewhere too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of these the readers take what is there; where there is something, it is an object.
OBJECTS = ("test", "timing", "memory", "environment", "data", "reason", "files")
CELL_OBJECTS = ("model", "labels", "execution", "recipe", "identity", "checkpoints")
FIGURES = {"timing": ("open_seconds", "first_step_seconds", "total_seconds"),
           "memory": ("peak_bytes", "process_peak_bytes")}


def shape_problem(data: Mapping[str, Any]) -> str | None:
    """What is wrong, None if nothing is. data: with "phases", "test", "timing" and "memory" as numbers."""
    for name, value, where in (
        *((name, data.get(name), "") for name in OBJECTS),
        *((name, data["cell"].get(name), "cell: ") for name in CELL_OBJECTS),
    ):
        if value is not None and not isinstance(value, Mapping):
            return f"{where}{name!r} is no object"
    if not _is_count(data["cell"].get("seed")):
        return f"the seed is {_short(data['cell'].get('seed'))}"
    for section, names in FIGURES.items():
        for name in names:
            if not _is_figure((data.get(section) or {}).get(name)):
                return f"{section}: {name} is {_short(data[section][name])}, no number"
    for name, value in (data.get("test") or {}).items():
        if not _is_figure(value):
            return f"test: {name!r} is {_short(value)}, no number"
    for name, size in (data.get("files") or {}).items():
        if not isinstance(size, int) or isinstance(size, bool):
            return f"files: the size of {name!r} is {_short(size)}"
    return next((problem for phase in data["phases"] if (problem := _phase_problem(phase))), None)


def _phase_problem(phase: Mapping[str, Any]) -> str | None:
    where = f"phase {phase['name']!r}: "
    for name in ("epochs", "windows"):
        rows = phase.get(name)
        if rows is not None and not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            return f"{where}{name!r} is no list of objects"
    for row in phase.get("epochs") or ():
        for name, value in row.items():
            if not _is_figure(value):
                return f"{where}{name!r} of an epoch is {_short(value)}, no number"
    for window in phase.get("windows") or ():
        if not _is_figure(window.get("seconds")) or window.get("seconds") is None:
            return f"{where}a window took {_short(window.get('seconds'))} seconds"
        if not all(_is_count(window.get(name)) for name in ("start", "stop", "examples")):
            return f"{where}a window goes from {_short(window.get('start'))} to {_short(window.get('stop'))}"
    return None


def _is_figure(value: Any) -> bool:
    return value is None or isinstance(value, (int, float))


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
