"""A machine in a folder: what Linux would say of one on which nothing spoils a measurement, and changes to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.measure.machine import Look, Trouble, troubles
from harness.measure.system import System, moment

OWN_GROUP = 77
GIGA = 1 << 30
# user nice system idle iowait irq softirq steal, in hundredths of a second
STAT = "cpu  400 0 0 9600 0 0 0 0\n" + "".join(f"cpu{cpu} 100 0 0 2400 0 0 0 0 0 0\n" for cpu in range(4))
QUIET = {
    "proc/stat": STAT,
    "proc/10/stat": "10 (harness) S 1 77 77 0 -1 0 0 0 0 0 400 0 0 0 20 0 1 0 0 0 0",
    "proc/20/stat": "20 (other (1) job) S 1 20 20 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0 0 0",
    "proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\nSwapTotal: 2000000 kB\nSwapFree: 2000000 kB\n",
    "proc/vmstat": "pswpin 5\npswpout 7\n",
    "proc/self/cgroup": "0::/slice/mine\n",
    "sys/fs/cgroup/slice/mine/cpu.max": "max 100000",
    "sys/fs/cgroup/slice/mine/cpu.stat": "usage_usec 1\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
    "sys/devices/system/cpu/online": "0-3",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "1",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
    "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm",
    "sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/online": "1",
    "sys/class/power_supply/BAT0/type": "Battery", "sys/class/power_supply/BAT0/status": "Full",
    **{f"sys/devices/system/cpu/cpu{cpu}/{name}": text for cpu in range(4) for name, text in (
        ("cpufreq/scaling_governor", "performance"), ("topology/thread_siblings_list", str(cpu)),
        ("thermal_throttle/core_throttle_count", "0"))},
}
SECONDS = 4.0


def no_program(command: list[str]) -> str | None:
    return None


def nvidia_smi(
    name: str = "NVIDIA H200", persistence: str = "Enabled", mig: str = "Disabled", ecc: str = "Enabled",
    limit: str = "700.00", default: str = "700.00", reasons: str = "0x0000000000000001", apps: str = "",
    cuda: str = "12.8", clocks: str = "clocks_event_reasons",
) -> Callable[[list[str]], str | None]:
    """A driver with one GPU."""
    def run(command: list[str]) -> str | None:
        asked = " ".join(command[1:])
        if "query-gpu" in asked and clocks not in asked:
            return None  # one unknown field, and it answers nothing
        if "query-gpu" in asked:
            return f"0, {name}, 570.86.15, {persistence}, {mig}, {ecc}, {limit}, {default}, {reasons}\n"
        if "compute-apps" in asked:
            return apps
        return f"GPU 0: {name}\n" if asked == "-L" else f"| Driver Version: 570.86.15   CUDA Version: {cuda} |\n"

    return run


def look_at(
    root: Path, before: Mapping[str, str] | None = None, after: Mapping[str, str] | None = None, *,
    environ: Mapping[str, str] | None = None, processors: tuple[int, ...] = (0, 1, 2, 3),
    run: Callable[[list[str]], str | None] = no_program, free: int = 100 * GIGA, lock: Path | None = None,
    frameworks: object = None,
) -> list[Trouble]:
    """The troubles of the quiet machine with some files changed, for the whole time and at the second moment."""
    for path, text in {**QUIET, **(before or {})}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    system = System(root, environ or {}, processors, run, lambda folder: free, OWN_GROUP)
    first = moment(system)
    for path, text in (after or {}).items():
        (root / path).write_text(text)
    return troubles(Look(system, first, moment(system), SECONDS, root, lock, frameworks))
