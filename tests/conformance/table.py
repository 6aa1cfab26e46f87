"""The conformance table: how far PyTorch is from stock Keras on TensorFlow, by layer class, in float64.

`python -m tests.conformance.table [--out FOLDER] [--only FAMILY ...]` plays every case of tests/conformance/cases in
both frameworks, prints the table and writes table.md and table.csv. Exit code 1 if a case fails or is beyond its
tolerance.

Errors are the largest of |ours - Keras's| / max(1, |Keras's|) over a class's cases: of the outputs in training, of
the gradients by inputs and weights, of the weights after the pass (moving averages; all others must not move), and
of the outputs in inference after it.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.conformance.engine import TOLERANCE, Arrays, Case, all_cases
from tests.conformance.process import Outcome, play

# Column -> how the arrays begin that it is about.
COLUMNS = {"forward": ("output",), "gradient": ("input gradient", "weight gradient"), "state": ("weight after",),
           "inference": ("inference",)}


@dataclass
class Row:
    """A layer class. stock: the cases in which TensorFlow's side is Keras's own layer, and not one that draws from
    the tape or stands in for a kernel that TensorFlow does not have. worst: column -> largest error; failed: what
    went wrong, by case."""

    family: str
    layer: str
    cases: int = 0
    stock: int = 0
    worst: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0.0))
    tolerance: float = 0.0
    reasons: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        errors = [f"{self.worst[column]:.1e}" if self.worst[column] else "0" for column in COLUMNS]
        return [self.family, self.layer, str(self.cases), str(self.stock), *errors, f"{self.tolerance:.0e}",
                "passed" if not self.failed else f"{len(self.failed)} failed"]


HEADER = ("family", "layer", "cases", "stock", *COLUMNS, "tolerance", "result")


def error_of(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference by the largest value (1 at least); infinite where the shapes disagree or one is no
    number."""
    if ours.shape != theirs.shape:
        return float("inf")
    scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
    difference = float(np.max(np.abs(ours.astype(np.float64) - theirs), initial=0.0))
    return difference / scale if np.isfinite(difference) else float("inf")


def add_case(row: Row, key: str, case: Case, theirs: Outcome, ours: Outcome) -> None:
    """Takes a case into its class's row."""
    row.cases += 1
    row.tolerance = max(row.tolerance, case.tolerance)
    if case.tolerance > TOLERANCE:
        row.reasons.add(case.reason)
    try:
        values, facts = theirs.of(key)
        found = ours.of(key)[0]
    except AssertionError as error:
        row.failed.append(f"{key}: {str(error).strip().splitlines()[-1]}")
        return
    row.stock += bool(facts["stock"])
    expected: Arrays = {name: value for name, value in values.items() if name != "regularization"}
    if sorted(found) != sorted(expected):
        row.failed.append(f"{key}: not the same arrays")
        return
    largest = 0.0
    for column, beginnings in COLUMNS.items():
        errors = [error_of(found[name], value) for name, value in expected.items() if name.startswith(beginnings)]
        row.worst[column] = max(row.worst[column], *errors, 0.0)
        largest = max(largest, *errors, 0.0)
    if largest > case.tolerance:
        row.failed.append(f"{key}: {largest:.1e} is beyond {case.tolerance:.0e}")


def rows_of(cases: dict[str, Case], theirs: Outcome, ours: Outcome) -> list[Row]:
    rows: dict[str, Row] = {}
    for key, case in cases.items():
        name = case.layer_class.canonical_name()
        add_case(rows.setdefault(name, Row(case.layer_class.__module__.rpartition(".")[2], name)), key, case, theirs,
                 ours)
    return sorted(rows.values(), key=lambda row: (row.family, row.layer))


def markdown(rows: list[Row], versions: dict[str, str]) -> str:
    """The page table.md."""
    failed = [line for row in rows for line in row.failed]
    cases = sum(row.cases for row in rows)
    made_with = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        "# Conformance of the layers", "",
        "PyTorch against stock Keras on TensorFlow, float64, on a CPU; `make conformance` writes this page.",
        f"{len(rows)} classes, {cases} cases, {len(failed)} beyond their tolerance. Made with {made_with}.", "",
        "Each error is the largest difference over a class's cases, by the largest value (1 at least): of the outputs "
        "in training, of the gradients by inputs and weights, of the weights after the pass, of the outputs in "
        "inference. `stock`: the cases in which TensorFlow's side is Keras's own layer; in the others it is one that "
        "draws its random numbers from the tape, or that stands in for a kernel which TensorFlow does not have in "
        "float64 or on a CPU.", "",
        "| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER),
        *("| " + " | ".join(row.cells()) + " |" for row in rows),
    ]
    wider = [row for row in rows if row.reasons]
    if wider:
        lines += ["", f"Wider than {TOLERANCE:.0e}, and why:", ""]
        lines += [f"- {row.layer}: {'; '.join(sorted(row.reasons))}." for row in wider]
    if failed:
        lines += ["", "Beyond their tolerance:", "", *(f"- {line}" for line in failed)]
    return "\n".join(lines) + "\n"


def show(rows: list[Row]) -> None:
    table = Table(title="PyTorch against stock Keras, float64")
    for name in HEADER:
        table.add_column(name, justify="left" if name in ("family", "layer", "result") else "right")
    for row in rows:
        table.add_row(*row.cells(), style="red" if row.failed else None)
    console = Console(width=140)
    console.print(table)
    for row in rows:
        for line in row.failed:
            console.print(line, style="red", markup=False)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Plays the conformance cases and writes the table.")
    parser.add_argument("--out", type=Path, default=Path("reports/conformance"), help="the folder of the table's files")
    parser.add_argument("--only", nargs="*", default=[], help="families of layers; all of them without it")
    given = parser.parse_args(arguments)
    cases = {key: case for key, case in all_cases().items() if not given.only or key.split("/")[0] in given.only}
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = play(list(cases), Path(folder))
    rows = rows_of(cases, theirs, ours)
    show(rows)
    given.out.mkdir(parents=True, exist_ok=True)
    versions = {**theirs.about["versions"], **ours.about["versions"], "NumPy": np.__version__}
    (given.out / "table.md").write_text(markdown(rows, versions))
    with (given.out / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(row.cells() for row in rows)
    return 1 if any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
