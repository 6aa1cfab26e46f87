"""What starting costs: CPU seconds of commands against an interpreter that imports only typer and pydantic.

    python benchmarks/startup.py [--rounds 10]

The commands are interleaved; a ratio is the median of the rounds' ratios, with a 95% interval (bootstrap over rounds).
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAIN = "from harness.cli.main import main; main({!r})"
PROGRAMS = {
    "import typer, pydantic": "import typer, pydantic",
    "harness --help": MAIN.format(["--help"]),
    "harness check MODEL": MAIN.format(["check", "models/mlp_64_64.yaml"]),
    "harness check EXPERIMENT": MAIN.format(["check", "experiments/quickstart.yaml"]),
}


def seconds(code: str) -> float:
    """CPU seconds of a fresh interpreter that runs the code."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds + 1):  # the first round writes bytecode
        for name, code in PROGRAMS.items():
            times[name].append(seconds(code))
    bare = times["import typer, pydantic"][1:]
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values[1:], bare, strict=True)]
        low, high = interval(ratios)
        ratio = f"{statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}]"
        print(f"{name:26} {statistics.median(values[1:]):.3f} s  {ratio}")


def interval(ratios: list[float]) -> tuple[float, float]:
    """Where 95% of the medians of resampled rounds lie."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000))
    return medians[50], medians[-51]


if __name__ == "__main__":
    main()
