"""Energy between two moments: a GPU's by NVML's counter, a CPU's by RAPL; never 0 for "not measured".

NVML (nvmlDeviceGetTotalEnergyConsumption, Volta and later, in millijoules) is refreshed a few times a second and counts
the whole board, idle power included: below a minute its steps show. RAPL (Linux: /sys/class/powercap, in microjoules)
counts whole packages with their memory, whoever uses them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from harness.records.process import Clock

NVML_SECONDS, RAPL_SECONDS = 60.0, 5.0
POWERCAP = Path("/sys/class/powercap")


class Counter(Protocol):
    """An energy counter. least_seconds: over less its steps show. source: in words."""

    least_seconds: float
    source: str

    def read(self) -> list[float]:
        """Joules so far, one value per part. Raises OSError where it cannot be read."""

    def spent(self, before: list[float], after: list[float]) -> float:
        """Joules between two readings."""


class Meter:
    """Start, stop: the joules between (measure/half.py: Meter). counter: None where there is none, reason says why."""

    def __init__(self, counter: Counter | None, reason: str | None = None, clock: Clock = time.perf_counter) -> None:
        self.counter, self.reason, self.clock = counter, reason, clock
        self.began: float | None = None
        self.before: list[float] = []

    def start(self) -> None:
        self.began = self.clock()
        if self.counter is not None:
            self.before = self._read(self.counter)

    def stop(self) -> dict[str, Any]:
        """{"joules", "seconds", "source"}, or "joules" None and "reason". Raises RuntimeError if it was not started."""
        if self.began is None:
            raise RuntimeError("an energy meter is started before it is stopped")
        after = [] if self.counter is None else self._read(self.counter)
        seconds = self.clock() - self.began
        self.began = None
        if self.counter is None or not self.before or not after:
            return {"joules": None, "seconds": seconds, "reason": self.reason or "the energy counter cannot be read"}
        if seconds < self.counter.least_seconds:
            return {"joules": None, "seconds": seconds, "reason": f"{self.counter.source} needs a window of "
                    f"{self.counter.least_seconds:.0f} s or more, this one took {seconds:.1f} s"}
        joules = self.counter.spent(self.before, after)
        if joules <= 0:
            return {"joules": None, "seconds": seconds, "reason": f"{self.counter.source} did not move"}
        return {"joules": joules, "seconds": seconds, "source": self.counter.source}

    def _read(self, counter: Counter) -> list[float]:
        try:
            return counter.read()
        except OSError as error:
            self.reason = f"{counter.source} cannot be read: {error}"
            return []


class Rapl:
    """All packages, and their memory where it has a counter of its own."""

    least_seconds = RAPL_SECONDS
    source = "RAPL"

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        self.ranges = [float((folder / "max_energy_range_uj").read_text()) * 1e-6 for folder in folders]

    def read(self) -> list[float]:
        return [float((folder / "energy_uj").read_text()) * 1e-6 for folder in self.folders]

    def spent(self, before: list[float], after: list[float]) -> float:
        # A counter starts again at 0 when it has reached the end of its range, after minutes or hours.
        return sum(end - start + (size if end < start else 0.0)
                   for start, end, size in zip(before, after, self.ranges, strict=True))


class Nvml:
    """One GPU."""

    least_seconds = NVML_SECONDS
    source = "NVML"

    def __init__(self, total: Callable[[], float]) -> None:
        self.total = total

    def read(self) -> list[float]:
        return [self.total()]

    def spent(self, before: list[float], after: list[float]) -> float:
        return after[0] - before[0]


def meter_for(device: str, clock: Clock = time.perf_counter, root: Path = POWERCAP) -> Meter:
    """The meter of a device as Backend.conditions names it: "cpu", "gpu:0 NVIDIA H200"."""
    counter = nvml_counter(device) if device.startswith("gpu") else rapl_counter(root)
    return Meter(None, counter, clock) if isinstance(counter, str) else Meter(counter, clock=clock)


def rapl_counter(root: Path = POWERCAP) -> Rapl | str:
    """The counter, or why there is none."""
    packages = [folder for folder in sorted(root.glob("intel-rapl:*"))
                if folder.name.count(":") == 1 and _name(folder).startswith("package")]
    if not packages:
        return "this machine shows no RAPL counter (virtual machines hide it)"
    memories = [part for folder in packages for part in sorted(root.glob(f"{folder.name}:*"))
                + sorted(folder.glob(f"{folder.name}:*")) if _name(part) == "dram"]
    # The kernel lists a part both in its package's folder and beside it.
    folders = list({folder.name: folder for folder in (*packages, *memories)}.values())
    try:
        counter = Rapl(folders)
        counter.read()
    except PermissionError:
        return f"RAPL is readable by root alone: sudo chmod a+r {root}/*/energy_uj"
    except (OSError, ValueError) as error:
        return f"RAPL cannot be read: {error}"
    return counter


def nvml_counter(device: str, visible: str | None = None, library: Any = None) -> Nvml | str:
    """The counter of "gpu:0 ...", or why there is none. visible: CUDA_VISIBLE_DEVICES. library: pynvml."""
    if library is None:
        try:
            import pynvml as library  # type: ignore[import-untyped, no-redef]
        except ImportError:
            return "nvidia-ml-py is not installed: pip install 'harness[energy]'"
    try:
        library.nvmlInit()
        handle = _handle(library, device, os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible)
        library.nvmlDeviceGetTotalEnergyConsumption(handle)
    except library.NVMLError as error:
        return f"NVML has no energy counter here: {error}"

    def total() -> float:
        try:
            return float(library.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1e-3
        except library.NVMLError as error:
            raise OSError(str(error)) from None

    return Nvml(total)


def _handle(library: Any, device: str, visible: str | None) -> Any:
    """NVML's handle: it counts all GPUs, the frameworks those of CUDA_VISIBLE_DEVICES."""
    number = int(device.partition(":")[2].split()[0] or 0)
    chosen = [item.strip() for item in (visible or "").split(",") if item.strip()]
    name = chosen[number] if number < len(chosen) else str(number)
    if name.isdecimal():
        return library.nvmlDeviceGetHandleByIndex(int(name))
    return library.nvmlDeviceGetHandleByUUID(name)


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text(encoding="ascii").strip()
    except OSError:
        return ""
