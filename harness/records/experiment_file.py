"""<store>/experiment.json: what the experiment was, every default written out; whether a folder is a store at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.records import strict_json

EXPERIMENT_FILE = "experiment.json"


def require_store(path: Path | str) -> Path:
    """The path. Raises SpecError where there is no folder of results."""
    path = Path(path)
    if not path.is_dir() or not ((path / "cells").is_dir() or (path / EXPERIMENT_FILE).is_file()):
        known = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, known) if not path.is_dir() else "Expected a folder cells/ in it."
        raise SpecError("there are no results here.", where=str(path), hint=hint)
    return path


def read_experiment_file(store: Path | str) -> Mapping[str, Any]:
    """What it says, {} without one. Raises SpecError for one that cannot be read."""
    file = Path(store) / EXPERIMENT_FILE
    if not file.is_file():
        return {}
    try:
        data = strict_json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"not readable: {error}.", where=str(file)) from None
    if not isinstance(data, dict):
        raise SpecError("expected an object.", where=str(file))
    return data
