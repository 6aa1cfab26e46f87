"""How often does the certificate accuse trainings that are the same? Random models and recipes of every family.

    python -m tests.certify.false_alarms [--first 0] [--count 300] [--steps 12] [--rungs R0 R1 R2 R3] [-o FOLDER]

certifies the numbered cases of tests/conformance/random_models.py and prints one line for each that is not certified;
-o writes false_alarms.json. Counted apart, as no alarms, are cases that the harness refuses before training, and those
whose loss becomes NaN in both frameworks at the same step: there is nothing to certify from there on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from harness.certify.certificate import DIFFERENT, Certificate
from harness.errors import HarnessError, SpecError
from harness.runner.certify import both_workers, certify
from tests.conformance.random_models import case, job

RUNGS = ("R0", "R1", "R2", "R3")


def certified(number: int, workers: Any, steps: int, rungs: tuple[str, ...]) -> tuple[str, Certificate | str]:
    """("certified" | "different" | "not certified" | "NaN in both" | "refused", the certificate or why)."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = job(case(number), "pytorch", Path(folder))
            found = certify(made.spec, made.recipe, made.dataset, execution={"precision": "float32"}, seed=number,
                            steps=steps, weights=made.weights, rungs=rungs, workers=workers, diagnose=False)
        except (SpecError, HarnessError) as error:
            return "refused", str(error)
    statuses = {rung.status for phase in found.phases for rung in phase.rungs}
    if found.label == DIFFERENT:
        return "different", found
    if any("not finite from" in rung.details for phase in found.phases for rung in phase.rungs):
        return "NaN in both", found
    return ("certified" if statuses == {"passed"} and found.finding is None and len(found.phases) == len(
        made.recipe.resolved_phases()) else "not certified"), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rungs", nargs="+", default=list(RUNGS))
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    rows, began = [], time.monotonic()
    with both_workers() as workers:
        for number in range(arguments.first, arguments.first + arguments.count):
            ending, found = certified(number, workers, arguments.steps, tuple(arguments.rungs))
            said = found if isinstance(found, str) else found.sentence
            undecided = [] if isinstance(found, str) else [
                what for phase in found.phases for rung in phase.rungs for what in rung.details.get("not decided", ())]
            rows.append({"case": number, "ending": ending, "said": said, "not decided": undecided})
            if ending != "certified":
                print(f"{number}: {ending}: {said}", flush=True)
    counts = Counter(row["ending"] for row in rows)
    judged = len(rows) - counts["refused"] - counts["NaN in both"]
    print(f"{counts['certified']} of {judged} certified ({counts['certified'] / max(judged, 1):.1%}), "
          f"{counts['different']} called different, {counts['not certified']} not certified; "
          f"{counts['NaN in both']} become NaN in both, {counts['refused']} are refused beforehand; "
          f"{time.monotonic() - began:.0f} s")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "false_alarms.json").write_text(json.dumps(
            {"first": arguments.first, "steps": arguments.steps, "rungs": arguments.rungs, "counts": counts,
             "cases": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
