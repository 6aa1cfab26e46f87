"""How fast is the harness's own loop? Side by side with what one would write otherwise, as ratios with 95% intervals.

    python -m benchmarks.loop [--workload mlp_32 cnn ...] [--only keras-fit-tensorflow lightning ...] [--rounds 12]
                              [--window 1.0] [--program best] [--core 1] [-o FOLDER]

Each contender is a process of its own, pinned to one core, with one thread. They are opened and warmed up one after the
other, then play in rounds, each a window of at least --window seconds in every round, in an order that favours none. A
ratio is other / harness, above 1: the harness is faster. --program best measures the program that the harness's pilot
finds fastest among those that train alike, and what `auto` takes where that is another; auto leaves the pilot out; a
program's name measures that one. Results: <FOLDER>/<workload>.json and loops.md; FOLDER is reports/loops/<machine>.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if not __package__:  # python benchmarks/loop.py
    sys.path[0] = str(ROOT)


def main() -> None:
    from benchmarks.contenders import CONTENDERS, OWN
    from benchmarks.side_by_side import AUTO, BEST
    from benchmarks.workloads import WORKLOADS
    from harness.spec.execution import PROGRAMS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", nargs="+", choices=tuple(WORKLOADS), default=list(WORKLOADS))
    others = [name for name in CONTENDERS if name not in OWN.values()]
    parser.add_argument("--only", nargs="+", choices=others, default=others)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--window", type=float, default=1.0)
    parser.add_argument("--program", default=BEST,
                        choices=(BEST, AUTO, *dict.fromkeys(name for names in PROGRAMS.values() for name in names)))
    parser.add_argument("--core", type=int)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.window <= 0:
        parser.error("--rounds is 1 or more, --window above 0")
    compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    from benchmarks.loop_tables import in_words, result_of, write
    from benchmarks.processes import pinned
    from benchmarks.side_by_side import Settings, measure
    from harness.records.environment import PACKAGES, environment, versions
    from harness.runner.cell import now
    from harness.runner.locks import FileLock, machine_lock_path

    machine = environment()
    core = pinned(arguments.core)
    folder = arguments.out or ROOT / "reports" / "loops" / machine["machine"]
    settings = Settings(arguments.rounds, arguments.window, arguments.program, folder, machine["machine"],
                        tell=lambda text: print(text, flush=True))
    command = " ".join(["python -m benchmarks.loop", *map(shlex.quote, sys.argv[1:])])
    for workload in arguments.workload:
        print(workload, flush=True)
        began, started, load = now(), time.monotonic(), os.getloadavg()[0]
        with FileLock(machine_lock_path()).held(lambda: print("  waiting: another harness times on this machine")):
            entries = measure(workload, arguments.only, settings)
        result = result_of(workload, entries, {
            "command": command, "rounds": arguments.rounds, "window_seconds": arguments.window, "core": core,
            "load": [load, os.getloadavg()[0]], "started_at": began, "seconds": time.monotonic() - started,
            "machine": machine, "versions": versions((*PACKAGES, "lightning", "accelerate"))})
        write(result, folder)
        print(f"\n{in_words(result)}\n  {result['seconds']:.0f} s; {folder / workload}.json\n", flush=True)


if __name__ == "__main__":
    main()
