"""What the rest of the machine does to a measurement: memory, disk, power, and another run of the harness."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from harness.measure.machine import Look, Trouble

MEGA, GIGA = 1 << 20, 1 << 30
SWAPPED_BYTES = 128 * MEGA
LITTLE_MEMORY, TOO_LITTLE_MEMORY = 2 * GIGA, GIGA // 2
LITTLE_DISK, TOO_LITTLE_DISK = 2 * GIGA, GIGA // 4


def swap(look: Look) -> Iterator[Trouble]:
    memory = look.system.memory()
    used = memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)
    moving = (look.after.swapped or 0) - (look.before.swapped or 0)
    mend = "end what fills the memory, then: sudo swapoff -a && sudo swapon -a"
    if moving > 0:
        yield Trouble(f"the machine swaps now ({moving} pages in {look.seconds:.1f} s)",
                      "a page that is fetched from the disk takes as long as thousands of steps", mend, "spoils")
    elif used > SWAPPED_BYTES:
        yield Trouble(f"{used / GIGA:.1f} GiB of memory are swapped out",
                      "what comes back does so in the middle of a window", mend, "adds noise")


def memory_left(look: Look) -> Iterator[Trouble]:
    left = look.system.memory_left()
    if left is not None and left < LITTLE_MEMORY:
        yield Trouble(f"{left / GIGA:.1f} GiB of memory are left",
                      "two frameworks and their data want 2 GiB or more; without, the machine swaps or ends a process",
                      "end what fills the memory", "spoils" if left < TOO_LITTLE_MEMORY else "adds noise")


def disk(look: Look) -> Iterator[Trouble]:
    free = look.system.disk(look.results)
    if free is not None and free < LITTLE_DISK:
        yield Trouble(f"{free / GIGA:.1f} GiB are free where the results go ({look.results.absolute()})",
                      "records and checkpoints are lost when nothing more fits",
                      "make room, or give --out another disk", "spoils" if free < TOO_LITTLE_DISK else "note")


def another_run(look: Look) -> Iterator[Trouble]:
    """Whether the machine's lock is held; the holder by the kernel's list of locks."""
    if look.lock is None or not _held(look):
        return
    inode = os.stat(look.lock).st_ino
    found = re.search(rf"FLOCK\s+\S+\s+\S+\s+(\d+)\s+\S+:{inode}\s", look.system.text("proc/locks") or "")
    who = f" (process {found[1]})" if found else ""
    yield Trouble(f"another run of the harness holds this machine{who}", "what is timed beside it is slower",
                  "wait until it is done: harness run waits by itself", "spoils")


def battery(look: Look) -> Iterator[Trouble]:
    for path in look.system.paths("sys/class/power_supply/*/type"):
        folder = path.rpartition("/")[0]
        kind = look.system.text(path)
        discharging = kind == "Battery" and look.system.text(f"{folder}/status") == "Discharging" and (
            look.system.text(f"{folder}/scope") != "Device")  # a mouse has one too
        if discharging:
            yield Trouble("this computer runs on its battery", "the clock is held down to save power",
                          "plug it in", "spoils")
            return


def _held(look: Look) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        descriptor = os.open(look.lock or "", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)  # which lets go of it
    return False


CHECKS = (another_run, swap, memory_left, disk, battery)
