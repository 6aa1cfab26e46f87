"""One workload: its contenders opened one after the other, played in rounds, asked whether they trained."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS, OWN
from benchmarks.processes import ContenderError, Process, opened
from benchmarks.rounds import Player, Times, play_rounds
from benchmarks.workloads import WORKLOADS, cell_of, write_data

# `--program`: the fastest that the harness's pilot accepts, or what the session takes by itself.
BEST, AUTO = "best", "auto"
# Parameters may differ by so much: torch's LSTM has a second bias.
PARAMETERS_DIFFER = 0.01
Tell = Callable[[str], None]
Open = Callable[[str, str, Path, "str | None", Path], Process]


@dataclass
class Settings:
    """rounds, window_seconds: how much is measured. program: `best`, `auto`, or one of PROGRAMS. folder: where pilots
    are kept; machine: whose they are."""

    rounds: int
    window_seconds: float
    program: str
    folder: Path
    machine: str = ""
    tell: Tell = print
    open: Open = opened


@dataclass
class Entry:
    """A contender on a workload. status: "measured", "failed", "not installed". label: its name, and of the harness's
    second entry the program."""

    name: str
    label: str
    status: str = "measured"
    reason: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] = field(default_factory=dict)
    times: Times = field(default_factory=Times)

    def to_data(self) -> dict[str, Any]:
        return {"name": self.name, "label": self.label, "status": self.status, "reason": self.reason, **self.about,
                "check": self.check, "cpu_seconds_per_example": self.times.cpu,
                "wall_seconds_per_example": self.times.wall}


def measure(workload: str, names: list[str], settings: Settings) -> list[Entry]:
    """All of `names` on one workload, the harness's loop of their frameworks included."""
    wanted = [name for name in CONTENDERS if name in names or name in {OWN[CONTENDERS[one].framework] for one in names}]
    with tempfile.TemporaryDirectory(prefix="harness-benchmark-") as folder, ExitStack() as stack:
        data = Path(folder) / f"{workload}.npz"
        write_data(WORKLOADS[workload], data)
        entries, processes = [], dict[str, Player]()
        for name in wanted:
            for entry, process in _opened(name, workload, data, settings, Path(folder)):
                entries.append(entry)
                if process is not None:
                    stack.callback(process.close)
                    processes[entry.label] = process
        by_label = {entry.label: entry for entry in entries}

        def lost(label: str, error: Exception) -> None:
            by_label[label].status, by_label[label].reason = "failed", str(error)
            settings.tell(f"  {label}: failed in a round: {error}")

        times = play_rounds(processes, settings.rounds, settings.window_seconds, lost)
        for label, found in times.items():
            by_label[label].times = found
            _checked(by_label[label], processes[label])  # type: ignore[arg-type]
    _same_network(entries)
    return entries


def _opened(
    name: str, workload: str, data: Path, settings: Settings, folder: Path,
) -> list[tuple[Entry, Process | None]]:
    """The entries of a contender, and the process of each that is to be played."""
    contender = CONTENDERS[name]
    missing = contender.missing()
    if missing:
        reason = f"not installed: pip install {' '.join(missing)}"
        settings.tell(f"  {name}: {reason}")
        return [(Entry(name, name, "not installed", reason), None)]
    if contender.letter:
        return [_tried(Entry(name, name), workload, data, None, settings, folder)]
    return _harness(name, workload, data, settings, folder)


def _harness(
    name: str, workload: str, data: Path, settings: Settings, folder: Path,
) -> list[tuple[Entry, Process | None]]:
    """One entry for the chosen program; and one more for what `auto` takes, where that is another."""
    from harness.spec.execution import PROGRAMS

    backend = CONTENDERS[name].framework
    program = settings.program
    if program == BEST:
        try:
            program = piloted(workload, data, backend, settings)
        except Exception as error:
            settings.tell(f"  {name}: the pilot failed, its auto program is measured: {error}")
            program = AUTO
    elif program not in PROGRAMS[backend]:
        program = AUTO
    first = _tried(Entry(name, name), workload, data, AUTO, settings, folder)
    if program == AUTO or first[1] is None or _program_of(first[0]) == program:
        return [first]
    chosen = _tried(Entry(name, name), workload, data, program, settings, folder)
    (chosen if chosen[1] is None else first)[0].label = f"{name}, {program if chosen[1] is None else AUTO}"
    return [chosen, first]


def _program_of(entry: Entry) -> str:
    return str(entry.about.get("program", "")).split(":")[0]


def piloted(workload: str, data: Path, backend: str, settings: Settings) -> str:
    """The program that the harness's pilot finds fastest among those that train alike; kept in settings.folder."""
    from harness.runner.pilot import chosen_program
    from harness.runner.workers import Worker

    def tell(event: Mapping[str, Any]) -> None:
        settings.tell(f"  pilot of {backend}: {event['program']} ({event['index']} of {event['of']})")

    with Worker(backend) as worker:
        found = chosen_program(cell_of(WORKLOADS[workload], data, backend), workload, settings.folder, worker,
                               machine=settings.machine, tell=tell)
    return str(found["chosen"])


def _tried(
    entry: Entry, workload: str, data: Path, program: str | None, settings: Settings, folder: Path,
) -> tuple[Entry, Process | None]:
    try:
        process = settings.open(entry.name, workload, data, program, folder)
    except ContenderError as error:
        entry.status, entry.reason = "failed", str(error)
        settings.tell(f"  {entry.label}: failed: {error}")
        return entry, None
    entry.about = process.about
    settings.tell(f"  {entry.label}: {process.about['program']}, {process.epoch_seconds:.3g} s an epoch"
                  + ("" if process.about["steady"] else " (not steady yet)"))
    return entry, process


def _checked(entry: Entry, process: Process) -> None:
    """What did not train is not compared."""
    try:
        entry.check = process.finish()
        problem = entry.check["problem"]
    except ContenderError as error:
        problem = str(error)
    if problem is not None:
        entry.status, entry.reason = "failed", problem


def _same_network(entries: list[Entry]) -> None:
    """Another number of parameters is another network."""
    own = next((entry.about["parameters"] for entry in entries
                if entry.name in OWN.values() and "parameters" in entry.about), None)
    for entry in entries:
        found = entry.about.get("parameters")
        if own and found and entry.status == "measured" and abs(found / own - 1) > PARAMETERS_DIFFER:
            entry.status, entry.reason = "failed", f"another network: {found} parameters, the harness's has {own}"
