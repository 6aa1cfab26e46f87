"""What one framework hands back, case by case: written by the framework's process, read by the tests.

A process is `python -m tests.conformance.run_<framework> CASES OUT`: CASES a JSON list of names, OUT an .npz with
the arrays "case|what" and the JSON text "facts".
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.conformance.engine import Arrays, Case, all_cases
from tests.conformance.sweeps import swept_cases
from tests.forked import run_module, side_by_side

# (arrays, facts) of a case
Result = tuple[Arrays, dict[str, Any]]


def main(run_case: Callable[[str, Case], Result], about: dict[str, Any]) -> None:
    """Plays the cases named in the file argv[1] and writes argv[2]. A case that raises leaves its traceback."""
    cases = {**all_cases(), **swept_cases()}
    arrays: Arrays = {}
    facts: dict[str, Any] = {"about": about}
    for key in json.loads(Path(sys.argv[1]).read_text()):
        try:
            values, facts[key] = run_case(key, cases[key])
            arrays.update({f"{key}|{name}": value for name, value in values.items()})
        except Exception:  # reported by the case's own test
            facts[key] = {"error": traceback.format_exc(limit=-6)}
    np.savez(sys.argv[2], **arrays, facts=np.array(json.dumps(facts)))  # type: ignore[arg-type]


class Outcome:
    """One framework's file, read."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as archive:
            loaded = dict(archive)
        self.facts: dict[str, Any] = json.loads(str(loaded.pop("facts")))
        self.arrays: dict[str, Arrays] = {}
        for name, value in loaded.items():
            key, _, what = name.partition("|")
            self.arrays.setdefault(key, {})[what] = value

    @property
    def about(self) -> dict[str, Any]:
        about: dict[str, Any] = self.facts["about"]
        return about

    def of(self, key: str) -> Result:
        """The arrays and facts of a case. Raises AssertionError with the process's traceback if it failed there."""
        facts = self.facts[key]
        assert "error" not in facts, facts["error"]
        return self.arrays.get(key, {}), facts


def play(keys: Sequence[str], folder: Path) -> tuple[Outcome, Outcome]:
    """(TensorFlow, PyTorch): these cases in one process each, at the same time, one thread each.

    Raises AssertionError with a process's messages if it did not come to its end.
    """
    (folder / "cases.json").write_text(json.dumps(list(keys)))
    side_by_side(*(partial(run_module, framework, f"tests.conformance.run_{framework}", folder / "cases.json",
                           folder / f"{framework}.npz") for framework in ("tensorflow", "pytorch")))
    return Outcome(folder / "tensorflow.npz"), Outcome(folder / "pytorch.npz")
