"""NVIDIA GPUs, as nvidia-smi describes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.measure.machine import Look, Severity, Trouble

FIELDS = ("index", "name", "driver_version", "persistence_mode", "mig.mode.current", "ecc.mode.current", "power.limit",
          "power.default_limit")
# The newer name, and the older one, which new drivers have given up.
CLOCKS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
# nvml.h: nvmlClocksEventReasons. An idle GPU has a low clock and is all right.
REASONS: dict[int, tuple[str, Severity]] = {
    0x2: ("its application clocks are set", "adds noise"), 0x4: ("its power limit is reached", "adds noise"),
    0x8: ("its hardware slows it down", "spoils"), 0x10: ("it keeps step with another GPU", "adds noise"),
    0x20: ("it is too hot (driver)", "spoils"), 0x40: ("it is too hot (hardware)", "spoils"),
    0x80: ("the power supply holds it back", "spoils"), 0x100: ("its display clock is set", "adds noise"),
}


@dataclass(frozen=True)
class Gpu:
    """One line of nvidia-smi; power in watts, None where the GPU does not tell."""

    index: str
    name: str
    driver: str
    persistence: str
    mig: str
    ecc: str
    power_limit: float | None
    default_limit: float | None
    reasons: int


def gpus(look: Look) -> list[Gpu]:
    """Those that the driver lists and the environment does not hide."""
    answers = (_asked(look, f"--query-gpu={','.join((*FIELDS, clocks))}", "--format=csv,noheader,nounits")
               for clocks in CLOCKS)
    found = []
    for line in next(filter(None, answers), "").splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == len(FIELDS) + 1:
            index, name, driver, persistence, mig, ecc, limit, default, reasons = parts
            found.append(Gpu(index, name, driver, persistence, mig, ecc, _watts(limit), _watts(default),
                             _mask(reasons)))
    return found


def settings(look: Look) -> Iterator[Trouble]:
    """Persistence, MIG, ECC, power limit."""
    for gpu in gpus(look):
        name = f"GPU {gpu.index} ({gpu.name})"
        if gpu.persistence == "Disabled":
            yield Trouble(f"{name}: persistence mode is off",
                          "the driver is unloaded between processes, and clocks and settings with it",
                          f"sudo nvidia-smi -i {gpu.index} -pm 1", "adds noise")
        if gpu.mig == "Enabled":
            yield Trouble(f"{name} is cut into slices (MIG)", "a slice shares memory bandwidth and power with the "
                          "others, and has no stated peak", f"sudo nvidia-smi -i {gpu.index} -mig 0", "adds noise")
        if gpu.ecc == "Disabled":
            yield Trouble(f"{name}: ECC is off", "memory is a little faster than on machines where it is on",
                          f"sudo nvidia-smi -i {gpu.index} -e 1, or say it beside the figures", "note")
        if gpu.power_limit and gpu.default_limit and gpu.power_limit < 0.99 * gpu.default_limit:
            yield Trouble(f"{name}: its power limit is {gpu.power_limit:.0f} W, by default {gpu.default_limit:.0f} W",
                          "under load the clock falls to stay below it, and figures are of that limit",
                          f"sudo nvidia-smi -i {gpu.index} -pl {gpu.default_limit:.0f}", "adds noise")


def clocks(look: Look) -> Iterator[Trouble]:
    for gpu in gpus(look):
        for bit, (reason, severity) in REASONS.items():
            if gpu.reasons & bit:
                yield Trouble(f"GPU {gpu.index} ({gpu.name}) is clocked down: {reason}",
                              "equal work takes longer, and not always as long",
                              "nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER says more; cool it, or reset its clocks "
                              f"(sudo nvidia-smi -i {gpu.index} -rgc -rac)", severity)


def other_processes(look: Look) -> Iterator[Trouble]:
    listing = _asked(look, "--query-compute-apps=pid,process_name,used_gpu_memory", "--format=csv,noheader")
    lines = [line.strip() for line in listing.splitlines() if "," in line]
    if lines:
        yield Trouble(f"other processes use the GPU: {'; '.join(lines)}",
                      "they take turns with what is timed, and hold memory", "end them, or wait for them", "spoils")


def _asked(look: Look, *query: str) -> str:
    """What nvidia-smi says of the GPUs that the frameworks may see; "" where there are none."""
    visible = look.system.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return ""
    return look.system.run(["nvidia-smi", *query, *(() if visible is None else ("-i", visible))]) or ""


def _watts(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return None


def _mask(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


CHECKS = (settings, clocks, other_processes)
