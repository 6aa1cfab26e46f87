"""The processor: its clock, who else uses it, and what part of it this process may use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.measure.machine import Look, Trouble
from harness.measure.system import System

# Of one core. What others take beyond it is more than a margin of 3% bears, of a training on one thread.
NOTICED_CORES, SPOILING_CORES = 0.05, 0.5
NOTICED_STEAL, SPOILING_STEAL = 0.005, 0.03
NAMED = 3
CLOCKS = ("tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page")


def governor(look: Look) -> Iterator[Trouble]:
    found = look.system.of_processors("cpufreq/scaling_governor")
    slow = sorted({name for name in found.values() if name != "performance"})
    if slow:
        yield Trouble(f"the frequency governor is {', '.join(slow)} on {_cores(look, found, slow)}",
                      "the clock rises and falls with the load, so that equal work takes unequal time",
                      "sudo cpupower frequency-set -g performance", "adds noise")


def turbo(look: Look) -> Iterator[Trouble]:
    intel = look.system.number("sys/devices/system/cpu/intel_pstate/no_turbo")
    other = look.system.number("sys/devices/system/cpu/cpufreq/boost")
    if intel == 0 or other == 1:
        path = "intel_pstate/no_turbo" if intel == 0 else "cpufreq/boost"
        yield Trouble("the processor's turbo is on",
                      "the clock depends on the temperature and on how many cores are at work",
                      f"echo {1 if intel == 0 else 0} | sudo tee /sys/devices/system/cpu/{path}", "note")


def other_load(look: Look) -> Iterator[Trouble]:
    """What others did between the two moments; the load average where no counter tells."""
    before, after = look.before, look.after
    seen = {number: (name, seconds - before.processes.get(number, (name, 0.0))[1])
            for number, (name, seconds) in after.processes.items()}
    named = sorted(((seconds / look.seconds, name, number) for number, (name, seconds) in seen.items()
                    if seconds / look.seconds > NOTICED_CORES / NAMED), reverse=True)[:NAMED]
    if before.busy is not None and after.busy is not None:
        cores = (after.busy - before.busy - (after.own - before.own)) / look.seconds
    else:
        cores = sum(seconds for _, seconds in seen.values()) / look.seconds
    if cores <= NOTICED_CORES:
        return
    who = ", ".join(f"{name} ({number}) {share:.2f}" for share, name, number in named)
    hidden = "processes that cannot be seen from here (other containers)"
    yield Trouble(f"other processes use {cores:.1f} of {len(look.system.processors)} cores: {who or hidden}",
                  "they take turns on the cores, the caches and the memory",
                  "end them, wait for them, or take another machine",
                  "spoils" if cores > SPOILING_CORES else "adds noise")


def quota(look: Look) -> Iterator[Trouble]:
    cores = _quota(look.system)
    held = _rise(look.before.throttled, look.after.throttled)
    mend = "start the container with --cpuset-cpus (whole cores) instead of --cpus, or without a limit"
    if held:
        yield Trouble(f"the CPU quota of this container held it back {held} times in {look.seconds:.1f} s",
                      "the clock of a window goes on while nothing runs", mend, "spoils")
    elif cores is not None and cores < len(look.system.processors):
        yield Trouble(f"a CPU quota of {cores:.3g} cores lies on this container, which sees "
                      f"{len(look.system.processors)}",
                      "with more threads than that it is stopped for a part of every tenth of a second", mend,
                      "adds noise")


def affinity(look: Look) -> Iterator[Trouble]:
    online = _numbers(look.system.text("sys/devices/system/cpu/online") or "")
    usable = look.system.processors
    if len(online) > len(usable):
        yield Trouble(f"this process may use {len(usable)} of {len(online)} processors",
                      "figures are of these alone, and frameworks may start a thread for every one that they see",
                      "taskset -pc (or the container's cpuset) says which; set execution.threads to no more", "note")


def siblings(look: Look) -> Iterator[Trouble]:
    """Two threads of one core among the processors, or one that others may use."""
    lists = look.system.of_processors("topology/thread_siblings_list")
    groups = {frozenset(_numbers(text)) for text in lists.values()}
    usable = set(look.system.processors)
    both = [group for group in groups if len(group & usable) > 1]
    shared = [group for group in groups if group - usable and group & usable]
    firsts = ",".join(str(number) for number in sorted(min(group & usable) for group in groups if group & usable))
    if both:
        yield Trouble(f"{2 * len(both) if all(len(group) == 2 for group in both) else sum(map(len, both))} of "
                      f"{len(usable)} processors are pairs of threads of one core",
                      "two threads on one core are slower than on two, and where they land is chance",
                      f"taskset -c {firsts} harness run ..., with execution.threads no more than that", "adds noise")
    elif shared:
        yield Trouble("the second thread of a core that this process uses is open to others",
                      "what runs there takes a part of the core, unseen",
                      "take both threads of each core into the cpuset, and use one of them", "adds noise")


def steal(look: Look) -> Iterator[Trouble]:
    stolen = _rise(look.before.stolen, look.after.stolen)
    share = 0.0 if stolen is None else stolen / (look.seconds * max(len(look.system.processors), 1))
    if share > NOTICED_STEAL:
        yield Trouble(f"the host of this virtual machine takes {share:.1%} of its processor time",
                      "other machines on the host run in the middle of a window",
                      "take a machine with dedicated cores, or another hour",
                      "spoils" if share > SPOILING_STEAL else "adds noise")


def heat(look: Look) -> Iterator[Trouble]:
    now, ever = _rise(look.before.heat, look.after.heat), look.after.heat
    why, mend = "the clock falls while the work goes on", "cool it, lower the turbo, or leave pauses between blocks"
    if now:
        yield Trouble(f"heat slows the processor now ({now} times in {look.seconds:.1f} s)", why, mend, "spoils")
    elif ever:
        yield Trouble(f"heat has slowed the processor {ever} times since it was started", why, mend, "note")


def clock_source(look: Look) -> Iterator[Trouble]:
    folder = "sys/devices/system/clocksource/clocksource0"
    found = look.system.text(f"{folder}/current_clocksource")
    if found and found not in CLOCKS:
        offered = (look.system.text(f"{folder}/available_clocksource") or "").split()
        mend = (f"echo tsc | sudo tee /{folder}/current_clocksource" if "tsc" in offered else
                "the kernel found the tsc unsteady: see dmesg, or take another machine")
        yield Trouble(f"the clock source is {found}, not tsc", "every look at the clock is a slow call to the kernel",
                      mend, "adds noise")


def _quota(system: System) -> float | None:
    """The smallest quota in cores."""
    found = []
    for folder in system.control_groups():
        limit, _, period = (system.text(f"{folder}/cpu.max") or "").partition(" ")
        if limit.isdigit() and period.isdigit():
            found.append(int(limit) / int(period))
        old, over = system.number(f"{folder}/cpu.cfs_quota_us"), system.number(f"{folder}/cpu.cfs_period_us")
        if old is not None and over and old > 0:
            found.append(old / over)
    return min(found) if found else None


def _numbers(text: str) -> set[int]:
    """{0, 1, 2, 5} of "0-2,5"."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _rise(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(after - before, 0)


def _cores(look: Look, found: dict[int, str], names: list[str]) -> str:
    count = sum(name in names for name in found.values())
    return "every core" if count == len(look.system.processors) else f"{count} of {len(look.system.processors)} cores"


CHECKS = (governor, turbo, other_load, quota, affinity, siblings, steal, heat, clock_source)
