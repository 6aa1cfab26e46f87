"""How large matrices are planned, looked at, resumed and reported: seconds and memory by the number of cells.

    python benchmarks/store.py [--cells 1000 10000 100000] [--seeds 50] [--folder FOLDER] [--keep]

Each verb runs in a process of its own, on a store made up for it (benchmarks/made_up_store.py): `plan`, `status` with
the index of the store to be made first and then with it, `resume` (what a run does until it knows that nothing is
due, planning aside), `rm` (a dry run of --failed) and `report`. The last column is the growth of the processor
seconds over the growth of the cells since the line above: 1 is linear, less is better.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAIN = "from harness.cli.main import main; code = main({!r}); assert code in (0, 6), code"
RESUME = """
import time
from pathlib import Path
from harness.runner.check import check
from harness.runner.driver import Settings, execute
from harness.spec.experiment import read_experiment
read = read_experiment(Path({experiment!r}))
cells = check(read)
began, used, told = time.perf_counter(), time.process_time(), []
execute(read, cells, Path({store!r}), told.append, Settings(function="none:none", lock=Path({store!r}) / "lock"))
due = told[0]["cells"] - told[0]["skipped"]
assert [event["event"] for event in told] == ["plan"] and due == 0, (told[:3], due)
print(time.perf_counter() - began, time.process_time() - used)
"""
# What a fresh process adds to its output: its processor seconds and its peak (getrusage's begins with its parent's).
USED = """
import resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(used.ru_utime + used.ru_stime, peak * 1024, file=sys.stderr)
"""
TARGETS = {"plan": 10.0, "status": 2.0, "resume": 5.0, "report": 60.0}


@dataclass(frozen=True)
class Used:
    """What a verb took. seconds: wall; processor_seconds: with all of its process's threads."""

    seconds: float
    processor_seconds: float
    peak_bytes: int


def measure(code: str) -> tuple[Used, str]:
    """(what it took, stdout) of a fresh interpreter."""
    began = time.perf_counter()
    made = subprocess.run([sys.executable, "-c", code + USED], cwd=ROOT, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    seconds = time.perf_counter() - began
    if made.returncode:
        raise SystemExit(made.stderr)
    processor, peak = made.stderr.splitlines()[-1].split()
    return Used(seconds, float(processor), int(peak)), made.stdout


def one_size(folder: Path, cells: int, seeds: int) -> tuple[int, dict[str, Used]]:
    """(number of cells, verb -> what it took)."""
    from benchmarks.made_up_store import drop_index, experiment_file, make_store

    file, store = experiment_file(folder, cells, seeds), folder / "results"
    began = time.perf_counter()
    made = make_store(file, store)
    print(f"{made} cells made up in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    time.sleep(2.5)  # a record younger than two seconds is not kept in the index
    drop_index(store)
    found = {"plan": measure(MAIN.format(["plan", str(file)]))[0]}
    for name in ("status, no index", "status"):
        found[name] = measure(MAIN.format(["status", str(store)]))[0]
    used, out = measure(RESUME.format(experiment=str(file), store=str(store)))
    wall, processor = map(float, out.splitlines()[-1].split())
    found["resume"] = Used(wall, processor, used.peak_bytes)
    found["rm --failed"] = measure(MAIN.format(["rm", str(store), "--failed"]))[0]
    found["report"] = measure(MAIN.format(["report", str(store)]))[0]
    return made, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--seeds", type=int, default=50, help="of each setting; fewer make more settings")
    parser.add_argument("--folder", type=Path, help="where the stores are made [a temporary folder]")
    parser.add_argument("--keep", action="store_true", help="leave the stores there")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="harness-stores-")) if given.folder is None else given.folder
    before: tuple[int, dict[str, Used]] | None = None
    print("| cells | verb | seconds | target | processor seconds | peak MB | growth |\n" + "| --- " * 7 + "|")
    for cells in given.cells:
        made, found = one_size(folder / str(cells), cells, given.seeds)
        for verb, used in found.items():
            target = f"{TARGETS[verb]:g}" if verb in TARGETS and made >= 100_000 else ""
            growth = "" if before is None else (
                f"{used.processor_seconds / before[1][verb].processor_seconds / (made / before[0]):.2f}")
            print(f"| {made:,} | {verb} | {used.seconds:.2f} | {target} | {used.processor_seconds:.2f} | "
                  f"{used.peak_bytes / 1e6:.0f} | {growth} |", flush=True)
        before = made, found
        if not given.keep:
            shutil.rmtree(folder / str(cells))
    print(json.dumps({"seeds": given.seeds, "processors": os.cpu_count(), "python": sys.version.split()[0]}))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
