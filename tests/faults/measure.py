"""How many planted faults the certificate catches and localises, beside naive criteria.

    python -m tests.faults.measure [-o reports/faults] [-k PART OF A NAME] [--host HOST] [--without-runs]

writes table.md and table.json: what is measured takes the place of what was there of the same fault, the rest stays.
The side without the fault is played once per host.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from harness.certify.certificate import Certificate
from harness.runner.certify import both_workers, certify
from harness.runner.phase_ladder import BACKENDS
from harness.runner.workers import Job, Worker
from harness.spec.model import ModelSpec
from tests.faults.hosts import HOSTS
from tests.faults.mutant import Mutant
from tests.faults.mutants import MUTANTS
from tests.faults.outcome import Arrays, Outcome, effect, final_loss, from_data, outcome_of, outputs, summary, table

RUNGS = ("R0", "R1", "R2", "R3")
PLANTED, REMEMBERED = "tests.faults.plant:job", "tests.faults.plant:remembered_job"
WHOLE_RUN = "tests.faults.whole_run:job"


@dataclass
class Bench:
    """Both frameworks' workers, and a folder in which what has no fault is kept."""

    workers: Mapping[str, Worker]
    folder: Path
    runs: dict[tuple[str, str], Arrays] = field(default_factory=dict)

    def certified(self, host: str, mutant: Mutant | None = None) -> Certificate:
        """The certificate of a host, with a fault in one of its backends or with none."""
        item = HOSTS[host]
        jobs = dict.fromkeys(BACKENDS, REMEMBERED)
        extra = {"cache": str(self.folder)}
        if mutant is not None:
            jobs[mutant.backend] = PLANTED
            extra["fault"] = mutant.name
        return certify(ModelSpec.from_data(item.model), item.whole_recipe(), item.data(), rungs=RUNGS,
                       workers=self.workers, jobs=jobs, extra=extra, diagnose=False)

    def run(self, host: str, backend: str, fault: str | None = None) -> Arrays:
        """A whole training of a host. Raises HarnessError where it breaks."""
        if fault is None and (host, backend) in self.runs:
            return self.runs[host, backend]
        path = self.folder / f"run {backend}.npz"
        arguments = {"host": host, "backend": backend, "fault": fault, "file": str(path)}
        self.workers[backend].run(Job(WHOLE_RUN, arguments)).unwrap()
        with np.load(path) as archive:
            found = dict(archive)
        if fault is None:
            self.runs[host, backend] = found
        return found

    def outcome(self, mutant: Mutant, whole_run: bool = True) -> Outcome:
        """What a fault comes to. whole_run: whether the naive criteria are tried as well."""
        began = time.monotonic()
        certificate = self.certified(mutant.host, mutant)
        seconds = time.monotonic() - began
        if not whole_run:
            return outcome_of(mutant, certificate, seconds)
        (other,) = (backend for backend in BACKENDS if backend != mutant.backend)
        changed, clean = self.run(mutant.host, mutant.backend, mutant.name), self.run(mutant.host, mutant.backend)
        against = self.run(mutant.host, other)
        return outcome_of(mutant, certificate, seconds, effect=effect(changed, clean),
                          final_loss=final_loss(changed, against), outputs=outputs(changed, against))


@contextlib.contextmanager
def open_bench() -> Iterator[Bench]:
    with both_workers() as workers, tempfile.TemporaryDirectory(prefix="harness-faults-") as folder:
        yield Bench(workers, Path(folder))


def read(folder: Path) -> dict[str, Outcome]:
    """What a table.json holds of the faults that there are, by name."""
    path = folder / "table.json"
    rows = json.loads(path.read_text())["faults"] if path.exists() else []
    return {row["name"]: from_data(row) for row in rows if row["name"] in MUTANTS}


def write(found: Mapping[str, Outcome], folder: Path) -> None:
    """table.md and table.json, in the order of the faults' table."""
    outcomes = [found[name] for name in MUTANTS if name in found]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(table(outcomes))
    data = {"summary": summary(outcomes), "faults": [item.to_data() for item in outcomes]}
    (folder / "table.json").write_text(json.dumps(data, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", type=Path, default=Path("reports/faults"))
    parser.add_argument("-k", action="append", default=[], help="faults whose name holds this")
    parser.add_argument("--host", action="append", default=[])
    parser.add_argument("--without-runs", action="store_true",
                        help="no whole runs: the naive criteria stay as they were measured")
    given = parser.parse_args()
    chosen = [mutant for mutant in sorted(MUTANTS.values(), key=lambda item: list(HOSTS).index(item.host))
              if (not given.host or mutant.host in given.host)
              and (not given.k or any(part in mutant.name for part in given.k))]
    found = read(given.o)
    with open_bench() as bench:
        for mutant in chosen:
            last = bench.outcome(mutant, not given.without_runs)
            if given.without_runs and (before := found.get(mutant.name)) is not None:
                last = replace(last, effect=before.effect, final_loss=before.final_loss, outputs=before.outputs)
            found[mutant.name] = last
            print(f"{last.caught or 'MISSED'} {'' if last.localised else 'ELSEWHERE '}{last.name}: "
                  f"{last.place or last.reason} [{last.what}; {last.cause}], {last.seconds:.0f} s", flush=True)
            write(found, given.o)
    print(json.dumps(summary(list(found.values())), indent=1))


if __name__ == "__main__":
    main()
