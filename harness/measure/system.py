"""What Linux tells of a machine, under a root folder that a test may plant; None where it does not tell.

Nothing here judges: measure/machine.py does.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Columns of a line of /proc/stat (man 5 proc): user nice system idle iowait irq softirq steal.
BUSY, STEAL = (0, 1, 2, 5, 6), 7
TICKS_PER_SECOND = 100.0
ANSWER_SECONDS = 20


def output_of(command: list[str]) -> str | None:
    """What a program prints, None if it is not there or fails."""
    if shutil.which(command[0]) is None:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True).stdout
    return None


def free_bytes(folder: Path) -> int | None:
    """On the disk of a folder, or of the nearest one above that is there."""
    for place in (folder, *folder.absolute().parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


@dataclass(frozen=True)
class System:
    """root: of the machine's files. processors: those that this process may use, by number. run: a program's output.
    disk: the free bytes for a folder. group: of this process, whose own work is not others'."""

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    processors: tuple[int, ...] = field(default_factory=lambda: usable_processors())
    run: Callable[[list[str]], str | None] = output_of
    disk: Callable[[Path], int | None] = free_bytes
    group: int = field(default_factory=lambda: os.getpgrp() if hasattr(os, "getpgrp") else 0)

    def text(self, path: str) -> str | None:
        """A file's text without the blanks around it."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (self.root / path).read_text(encoding="utf-8").strip()
        return None

    def number(self, path: str) -> int | None:
        found = self.text(path)
        with contextlib.suppress(ValueError, TypeError):
            return int(found or "")
        return None

    def paths(self, pattern: str) -> list[str]:
        """Files and folders that fit a pattern, relative to the root."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))

    def of_processors(self, name: str) -> dict[int, str]:
        """Processor -> the text of sys/devices/system/cpu/cpuN/<name>, where it is there."""
        found = ((cpu, self.text(f"sys/devices/system/cpu/cpu{cpu}/{name}")) for cpu in self.processors)
        return {cpu: text for cpu, text in found if text is not None}

    def memory(self) -> dict[str, int]:
        """/proc/meminfo in bytes."""
        lines = re.findall(r"^(\w+):\s+(\d+) kB", self.text("proc/meminfo") or "", re.MULTILINE)
        return {name: int(value) * 1024 for name, value in lines}

    def memory_left(self) -> int | None:
        """Bytes that a new process may take: free or easily freed, and inside the limits of the control groups, whose
        cache can be let go."""
        left = [value for value in (self.memory().get("MemAvailable"),) if value is not None]
        for folder in self.control_groups():
            for limit, usage, cache in (("memory.max", "memory.current", "file"),
                                        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")):
                most, used = self.number(f"{folder}/{limit}"), self.number(f"{folder}/{usage}")
                found = re.search(rf"^{cache} (\d+)$", self.text(f"{folder}/memory.stat") or "", re.MULTILINE)
                if most is not None and used is not None:
                    left.append(most - used + (int(found[1]) if found else 0))
        return min(left) if left else None

    def control_groups(self) -> Iterator[str]:
        """The folders of this process's control groups of CPU and memory, both versions, the own one first."""
        for line in (self.text("proc/self/cgroup") or "").splitlines():
            _, controllers, path = [*line.split(":", 2), "", "", ""][:3]
            for base in ("sys/fs/cgroup", *(f"sys/fs/cgroup/{name}" for name in controllers.split(",") if name)):
                parts = [part for part in path.split("/") if part]
                for length in range(len(parts), 0, -1):
                    yield "/".join([base, *parts[:length]])
        yield from ("sys/fs/cgroup", "sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/memory")


@dataclass(frozen=True)
class Moment:
    """Counters, in seconds, and events since the machine was started. processes: id -> (name, seconds) of those that
    are not of this process's group. busy, stolen: of the processors that it may use."""

    own: float
    processes: Mapping[int, tuple[str, float]]
    busy: float | None
    stolen: float | None
    throttled: int | None
    heat: int | None
    swapped: int | None


def moment(system: System) -> Moment:
    """The counters now."""
    own, others = _processes(system)
    busy, stolen = _processor_seconds(system)
    swaps = re.findall(r"^pswp(?:in|out) (\d+)$", system.text("proc/vmstat") or "", re.MULTILINE)
    return Moment(own, others, busy, stolen, throttled_periods(system), heat_events(system),
                  sum(map(int, swaps)) if swaps else None)


def usable_processors() -> tuple[int, ...]:
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def throttled_periods(system: System) -> int | None:
    """How often a CPU quota held this control group back."""
    for folder in system.control_groups():
        found = re.search(r"^nr_throttled (\d+)$", system.text(f"{folder}/cpu.stat") or "", re.MULTILINE)
        if found:
            return int(found[1])
    return None


def heat_events(system: System) -> int | None:
    """How often heat slowed a core or its package."""
    counts = [number for path in system.paths("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count")
              if (number := system.number(path)) is not None]
    return sum(counts) if counts else None


def stolen_seconds(system: System) -> float | None:
    """What the host of a virtual machine took so far from the processors that this process may use."""
    return _processor_seconds(system)[1]


def _processor_seconds(system: System) -> tuple[float | None, float | None]:
    lines = re.findall(r"^cpu(\d+)\s+(.*)$", system.text("proc/stat") or "", re.MULTILINE)
    columns = [[int(item) for item in rest.split()] for cpu, rest in lines if int(cpu) in system.processors]
    if not columns or not any(map(sum, columns)):
        return None, None
    busy = sum(row[index] for row in columns for index in BUSY if index < len(row))
    return busy / TICKS_PER_SECOND, sum(row[STEAL] for row in columns if len(row) > STEAL) / TICKS_PER_SECOND


def _processes(system: System) -> tuple[float, dict[int, tuple[str, float]]]:
    """(seconds of this process's group, those of all others)."""
    own, others = 0.0, {}
    for path in system.paths("proc/[0-9]*/stat"):
        text = system.text(path)
        # The name is in brackets and may hold anything: state ppid pgrp ... utime stime are 3 to 15.
        head, _, rest = (text or "").rpartition(")")
        fields = rest.split()
        if len(fields) < 13:
            continue
        seconds = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
        if int(fields[2]) == system.group:
            own += seconds
        else:
            others[int(path.split("/")[1])] = (head.partition("(")[2], seconds)
    return own, others
