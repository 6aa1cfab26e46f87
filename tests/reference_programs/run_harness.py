"""Runs the reference programs as they stand, one after the other in one process.

    python -m tests.reference_programs.run_harness OUT

OUT/<program>/ gets the results (HARNESS_RESULTS), OUT/<program>.txt what the program printed.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from pathlib import Path

PROGRAMS = ("a", "b", "c", "e")


def main(out: Path) -> None:
    for program in PROGRAMS:
        os.environ["HARNESS_RESULTS"] = str(out / program)
        with (out / f"{program}.txt").open("w") as file, contextlib.redirect_stdout(file):
            runpy.run_path(str(Path(__file__).with_name(f"{program}.py")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
