"""What on this machine would spoil a measurement: each trouble with why, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from harness.measure.system import Moment, System

# "spoils": a figure measured so is wrong, or of another machine. "adds noise": more blocks are needed. "note": known,
# and no reason to wait.
Severity = Literal["spoils", "adds noise", "note"]
SEVERITIES: tuple[Severity, ...] = ("spoils", "adds noise", "note")


@dataclass(frozen=True)
class Trouble:
    """what: as found, in a sentence. why: what it does to a measurement. mend: what to do, a command where one does."""

    what: str
    why: str
    mend: str
    severity: Severity

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Look:
    """What the checks look at: the system, its counters at two moments so many seconds apart, and three files of ours.

    results: the folder that records go to. lock: the file that a run holds while it times. frameworks: backend -> what
    it says of itself (harness/backends/seen.py).
    """

    system: System
    before: Moment
    after: Moment
    seconds: float
    results: Path = Path()
    lock: Path | None = None
    frameworks: Any = None


Check = Callable[[Look], Iterable[Trouble]]


def troubles(look: Look) -> list[Trouble]:
    """Everything that was found, the worst first."""
    from harness.measure import machine_gpu, machine_host, machine_processor, machine_software

    checks: tuple[Check, ...] = (*machine_processor.CHECKS, *machine_host.CHECKS, *machine_software.CHECKS,
                                 *machine_gpu.CHECKS)
    found = [trouble for check in checks for trouble in check(look)]
    return sorted(found, key=lambda trouble: SEVERITIES.index(trouble.severity))


def spoils(found: Iterable[Trouble]) -> bool:
    """Whether nothing should be measured here as it is."""
    return any(trouble.severity == "spoils" for trouble in found)
