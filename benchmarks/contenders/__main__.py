"""One contender in a process of its own.

    python -m benchmarks.contenders <contender> <workload> <data.npz> [<program>]

It opens its loop, warms up and says so in a line of JSON: {"program", "tried", "epoch_seconds", "steady",
"parameters"}. Then for every number that it reads from standard input it trains that many epochs and answers {"cpu",
"wall", "examples"}; for an empty line, or the end of the input, with what Loop.check gives; then it leaves.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.loops import Loop
from benchmarks.workloads import WORKLOADS, read_data

# Warm when two epochs one after the other took nearly as much CPU time.
STEADINESS, LEAST, MOST, MOST_SECONDS = 0.1, 3, 12, 30.0


def main() -> None:
    # What a library prints goes to standard error; answers go where standard output was.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    name, workload, data, *program = sys.argv[1:]
    module = importlib.import_module(f"benchmarks.contenders.{CONTENDERS[name].module}")
    more = {"backend": CONTENDERS[name].framework, "data": Path(data), "program": program[0]} if program else {}
    x, y = read_data(Path(data))
    loop: Loop = module.open_loop(WORKLOADS[workload], x, y, **more)
    epoch_seconds, steady = warm_up(loop)
    _answer(answers, {"program": loop.program, "tried": loop.tried, "epoch_seconds": epoch_seconds, "steady": steady,
                      "parameters": loop.parameters})
    for line in sys.stdin:
        if not line.strip():
            break
        epochs = int(line)
        wall, cpu = time.perf_counter(), time.process_time()
        loop.train(epochs)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        _answer(answers, {"cpu": cpu, "wall": wall, "examples": epochs * WORKLOADS[workload].examples})
    _answer(answers, loop.check())
    # A framework's threads, and Lightning's, need not end in good order.
    answers.flush()
    os._exit(0)


def warm_up(loop: Loop) -> tuple[float, bool]:
    """(wall seconds of the last epoch, whether two of them were alike)."""
    began, before, number, wall = time.perf_counter(), 0.0, 0, 0.0
    while number < LEAST or (number < MOST and time.perf_counter() - began < MOST_SECONDS):
        wall, cpu = time.perf_counter(), time.process_time()
        loop.train(1)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        number += 1
        if number >= LEAST and abs(cpu - before) <= STEADINESS * cpu:
            return wall, True
        before = cpu
    return wall, False


def _answer(file: TextIO, data: dict[str, Any]) -> None:
    file.write(json.dumps(data) + "\n")
    file.flush()


if __name__ == "__main__":
    main()
