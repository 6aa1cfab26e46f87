"""What else used this machine while something was timed: other processes, the host, throttling; and what spoils it.

Read from Linux's counters around each half, by the process that is timed; elsewhere, and where a counter is missing,
nothing is known and null stands in the record.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.spec.timing import Timing

PROC, THERMAL, CGROUP = Path("/proc"), Path("/sys/devices/system/cpu"), Path("/sys/fs/cgroup")
# Columns of a line of /proc/stat (man 5 proc): user nice system idle iowait irq softirq steal guest guest_nice.
# user and nice contain the guests' time.
BUSY, STEAL = (0, 1, 2, 5, 6), 7
# Counters tick every 10 ms: over less than this a share says nothing.
LEAST_SECONDS = 1.0


@dataclass(frozen=True)
class Reading:
    """Counters at one moment, in seconds since they began; None where the system does not tell.

    busy, stolen: of all processors that this process may use. own: this process, its process group and the children
    they waited for. throttled: by the CPU quota of this control group. thermal: how often heat slowed a core.
    """

    clock: float
    busy: float | None
    stolen: float | None
    own: float
    throttled: float | None
    thermal: int | None


def reading() -> Reading:
    """The counters now."""
    busy, stolen = processor_seconds()
    return Reading(time.monotonic(), busy, stolen, own_seconds(), throttled_seconds(), thermal_events())


def between(before: Reading, after: Reading, cores: int | None = None) -> dict[str, Any]:
    """What happened between two readings, as it stands in a block: "machine" of a half."""
    seconds = after.clock - before.clock
    own = after.own - before.own
    busy, stolen = _minus(after.busy, before.busy), _minus(after.stolen, before.stolen)
    return {
        "seconds": seconds, "cores": usable_cores() if cores is None else cores, "cpu_seconds": own,
        "foreign_cpu_seconds": None if busy is None else max(0.0, busy - own), "steal_seconds": stolen,
        "throttled_seconds": _minus(after.throttled, before.throttled),
        "thermal_events": _minus(after.thermal, before.thermal),
    }


def spoiled(found: Mapping[str, Any], threads: int, limits: Timing) -> str | None:
    """Why a half does not count, None if nothing spoiled it. threads: as the execution says, 0 for all cores. limits:
    its foreign_share, steal_share and throttled_share (docs/measuring.md says where they come from).

    Others may use the cores that the half leaves free: what counts is what they take beyond those.
    """
    seconds, cores = float(found["seconds"]), int(found["cores"])
    wanted = min(threads or cores, cores)
    if found.get("thermal_events"):
        return f"the processor throttled for its temperature ({found['thermal_events']} times)"
    if seconds < LEAST_SECONDS:
        return None
    throttled, stolen, foreign = (found.get(key) for key in (
        "throttled_seconds", "steal_seconds", "foreign_cpu_seconds"))
    if throttled is not None and throttled > limits.throttled_share * seconds:
        return f"the quota of this container held it back for {throttled:.1f} of {seconds:.1f} s"
    if stolen is not None and stolen > limits.steal_share * wanted * seconds:
        return f"the host of this virtual machine took {stolen:.1f} s of processor time in {seconds:.1f} s"
    if foreign is not None and foreign / seconds > cores - wanted + limits.foreign_share * wanted:
        return (f"other processes used {foreign / seconds:.1f} of {cores} cores, where {wanted} "
                f"{'was' if wanted == 1 else 'were'} to be left alone")
    return None


def is_throttled(found: Mapping[str, Any], limits: Timing) -> bool | None:
    """Whether quota or heat slowed a half down; None where neither counter is there."""
    throttled, thermal = found.get("throttled_seconds"), found.get("thermal_events")
    if throttled is None and thermal is None:
        return None
    return bool(thermal) or (throttled or 0.0) > limits.throttled_share * float(found["seconds"])


def load_average() -> list[float] | None:
    """Of 1, 5 and 15 minutes."""
    with contextlib.suppress(OSError, AttributeError):
        return [round(value, 2) for value in os.getloadavg()]
    return None


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_seconds(stat: Path = PROC / "stat") -> tuple[float | None, float | None]:
    """(in use, taken by the host) of the processors that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable, ticks = os.sched_getaffinity(0), os.sysconf("SC_CLK_TCK")
    busy, stolen, found = 0, 0, 0
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return None, None
    for line in lines:
        match = re.match(r"cpu(\d+)\s+(.*)", line)
        if match and int(match[1]) in usable:
            columns = [int(column) for column in match[2].split()]
            busy += sum(columns[index] for index in BUSY if index < len(columns))
            stolen += columns[STEAL] if len(columns) > STEAL else 0
            found += 1
    # A sandbox may show a file without counters.
    return (busy / ticks, stolen / ticks) if found == len(usable) and busy else (None, None)


def own_seconds() -> float:
    """Processor time of this process, of the others in its group, and of the children that they waited for."""
    times = os.times()
    total = times.user + times.system + times.children_user + times.children_system
    if not PROC.is_dir() or not hasattr(os, "getpgrp"):
        return total
    group, ticks, own = os.getpgrp(), os.sysconf("SC_CLK_TCK"), os.getpid()
    for folder in PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == own:
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            # After the name, which may hold blanks: state ppid pgrp ... utime stime cutime cstime are 14 to 17.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                total += sum(int(field) for field in fields[11:15]) / ticks
    return total


def throttled_seconds(root: Path = CGROUP) -> float | None:
    """How long a CPU quota held this control group back so far; None without a quota or a counter."""
    for name, unit in (("throttled_usec", 1e6), ("throttled_time", 1e9)):
        for path in (root / "cpu.stat", root / "cpu" / "cpu.stat"):
            with contextlib.suppress(OSError):
                match = re.search(rf"^{name} (\d+)$", path.read_text(), re.MULTILINE)
                if match:
                    return int(match[1]) / unit
    return None


def thermal_events(root: Path = THERMAL) -> int | None:
    """How often heat slowed a core or its package; None where nothing counts it (most virtual machines)."""
    counts = []
    for path in root.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"):
        with contextlib.suppress(OSError, ValueError):
            counts.append(int(path.read_text()))
    return sum(counts) if counts else None


def _minus(after: Any, before: Any) -> Any:
    return None if after is None or before is None else max(type(after)(0), after - before)
