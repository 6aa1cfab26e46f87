"""How fast is the harness's own loop? Interleaved, by CPU time, as ratios with their 95% intervals.

    python benchmarks/loop.py [--rounds 12] [--workload mlp cnn]

Every round lets each contender train the same number of epochs, in a random order; a ratio is the geometric
mean over rounds of other / harness (above 1: the harness is faster), with Student's t on its logarithm.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

HERE = Path(__file__).parent
PAIRS = (
    ("harness-tensorflow", "keras-fit"),
    ("harness-tensorflow", "native-tensorflow"),
    ("harness-pytorch", "naive-pytorch"),
    ("harness-pytorch", "native-pytorch"),
)
# (examples, epochs a round): enough for a window of about a second or more for the slowest.
SIZES = {"mlp": (9600, 2), "cnn": (1920, 1)}


class Process:
    """A contender in its own process."""

    def __init__(self, name: str, workload: str) -> None:
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        self.child = subprocess.Popen(
            [sys.executable, str(HERE / "contenders.py"), name, workload, str(SIZES[workload][0])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit("a contender ended without an answer; run benchmarks/contenders.py by hand to see why")

    def run(self, epochs: int) -> dict[str, float]:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{epochs}\n")
        self.child.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.child.stdin.close()  # type: ignore[union-attr]
        self.child.wait()


def ratio(other: list[float], own: list[float]) -> str:
    """Geometric mean of other / own with its 95% interval."""
    d = np.log(np.array(other) / np.array(own))
    half = stats.t.ppf(0.975, len(d) - 1) * stats.sem(d)
    return f"{np.exp(d.mean()):.2f} [{np.exp(d.mean() - half):.2f}, {np.exp(d.mean() + half):.2f}]"


def compare(workload: str, rounds: int) -> None:
    names = sorted({name for pair in PAIRS for name in pair})
    processes = {name: Process(name, workload) for name in names}
    times: dict[str, dict[str, list[float]]] = {name: {"cpu": [], "wall": []} for name in names}
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            measured = processes[name].run(SIZES[workload][1])
            for clock in ("cpu", "wall"):
                times[name][clock].append(measured[clock])
    for process in processes.values():
        process.close()
    print(f"\n{workload}, batch {32 if workload == 'mlp' else 64}, {rounds} rounds, one thread")
    for own, other in PAIRS:
        print(f"  {other:18} / {own:18}  CPU {ratio(times[other]['cpu'], times[own]['cpu']):24} "
              f"wall {ratio(times[other]['wall'], times[own]['wall'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--workload", nargs="+", choices=tuple(SIZES), default=list(SIZES))
    arguments = parser.parse_args()
    for workload in arguments.workload:
        compare(workload, arguments.rounds)


if __name__ == "__main__":
    main()
