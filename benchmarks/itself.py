"""A framework against itself, through the whole of the timing of blocks: what does the harness say where there is no
difference, or exactly one that was planted?

    python -m benchmarks.itself pytorch [--slower 0.1] [--repetitions 20] [--window 1] [-o FOLDER]

The one framework stands for both: the cells called tensorflow and pytorch are played by the same worker. --slower 0.1
lets the half called pytorch wait, busy, for 10% of what each call into it took. Every repetition runs its own blocks up
to the look that ends it. Prints an outcome for each; -o writes against_itself-<framework>-<slower>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from harness.analysis.judgement import Judgement
from harness.analysis.sequential import LOOKS, judge_blocks
from harness.records.blocks import DONE, blocks_of
from harness.records.environment import environment
from harness.records.store import Store
from harness.runner.blocks import Blocks, BlockSettings
from harness.runner.cell import now
from harness.runner.locks import FileLock, machine_lock_path
from harness.runner.matrix import cells
from harness.runner.timed_block import TIMING_JOB
from harness.runner.workers import Worker
from harness.spec.experiment import Experiment
from harness.spec.timing import Timing

NAMES = ("tensorflow", "pytorch")
SLOWER = "HARNESS_BENCHMARK_SLOWER"
MARGIN = 0.03


def slowed_job(arguments: dict[str, Any], emit: Any) -> dict[str, Any]:
    """runner.timing.timing_job with a busy wait behind every call into the session of the second half."""
    from harness.backends import load_backend
    from harness.runner.timing import timing_job

    share = float(os.environ[SLOWER])
    backend = load_backend(arguments["backend"])
    opens = type(backend).open

    def opened(self: Any, *given: Any) -> Any:
        session = opens(self, *given)
        plays = session.train

        def train(start: int, stop: int) -> None:
            began = time.perf_counter()
            plays(start, stop)
            session.wait()
            until = time.perf_counter() + share * (time.perf_counter() - began)
            while time.perf_counter() < until:
                pass

        session.train = train
        return session

    if arguments["cell"]["backend"] == NAMES[1]:
        type(backend).open = opened  # this process times one half and ends
    return timing_job(arguments, emit)


def repetition(worker: Worker, folder: Path, timing: Timing, function: str, lock: FileLock) -> tuple[Judgement, int]:
    """(what is said of one comparison, how many blocks were dropped or failed)."""
    experiment = Experiment.parse({"model": "mlp_64_64", "data": {"source": "digits"}, "seed": [0],
                                   "recipe": {"epochs": 5, "batch_size": 32}, "backend": list(NAMES)})
    store = Store(folder)
    settings = BlockSettings(timing, function=function, pilot=None)
    blocks = Blocks(cells(experiment), store, settings, MARGIN, environment()["machine"], lambda event: None)
    blocks(blocks.halves(lambda cell: worker, None), lock)
    found = [block for key in blocks.groups for block in blocks_of(folder, key)]
    done = [block for block in found if block.status == DONE]
    if not done:
        raise SystemExit(f"no block was timed: {found[-1].reason if found else 'none was run'}")
    rates = [[block.samples_per_second(name) or 0.0 for block in done] for name in NAMES]
    return judge_blocks("samples_per_second", NAMES, *rates, MARGIN, timing.looks), len(found) - len(done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=NAMES)
    parser.add_argument("--slower", type=float, default=0.0)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--window", type=float, default=1.0)
    parser.add_argument("--looks", type=int, nargs="+", default=list(LOOKS))
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    os.environ[SLOWER] = str(arguments.slower)
    timing = Timing(looks=tuple(arguments.looks), window_seconds=arguments.window, latency=False, evaluation=False)
    function = "benchmarks.itself:slowed_job" if arguments.slower else TIMING_JOB
    rows, began = [], now()
    lock = FileLock(machine_lock_path())
    with Worker(arguments.framework, pass_fds=(lock.descriptor,)) as worker:
        for number in range(arguments.repetitions):
            with tempfile.TemporaryDirectory() as folder:
                judgement, lost = repetition(worker, Path(folder), timing, function, lock)
            rows.append({**judgement.to_data(), "not counted": lost})
            print(f"{number + 1}: {judgement.sentence}" + (f" [{lost} blocks not counted]" if lost else ""), flush=True)
    outcomes = Counter(f"{row['outcome']}{', ' + row['winner'] if row['winner'] else ''}" for row in rows)
    print(f"{arguments.framework} against itself, slower by {arguments.slower:.0%}: "
          + ", ".join(f"{name}: {count}" for name, count in outcomes.most_common()))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        name = f"against_itself-{arguments.framework}-{arguments.slower:g}.json"
        (arguments.out / name).write_text(json.dumps({
            "framework": arguments.framework, "slower": arguments.slower, "window_seconds": arguments.window,
            "looks": arguments.looks, "machine": environment(), "started_at": began, "finished_at": now(),
            "outcomes": outcomes, "repetitions": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
