"""Where a run took place, as far as that can be known without importing a framework.

The backend adds what only it can read back from its own runtime: "threads" and "precision".
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "harness",
    "keras",
    "tensorflow",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "safetensors",
)


def environment() -> dict[str, Any]:
    """machine (short slug), cpu, cores (usable by this process), memory_bytes, gpu, python, versions,
    threads and precision (empty: the backend's to fill), platform."""
    cpu, cores, gpus = cpu_name(), usable_cores(), gpu_names()
    gpu = ", ".join(gpus) if gpus else None
    return {
        "machine": machine_slug(platform.machine(), cpu, cores, gpus),
        "cpu": cpu,
        "cores": cores,
        "memory_bytes": memory_bytes(),
        "gpu": gpu,
        "python": platform.python_version(),
        "versions": versions(),
        "threads": {},
        "precision": {},
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Installed versions, read from package metadata; what is not installed is left out."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, "unknown" where the system does not tell."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "unknown"
    for key in ("model name", "Model", "Hardware", "cpu model"):
        match = re.search(rf"^{key}\s*:\s*(.+)$", text, re.MULTILINE)
        if match:
            return " ".join(match.group(1).split())
    return platform.processor() or "unknown"


def usable_cores() -> int:
    """Logical cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory, None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def gpu_names() -> list[str]:
    """Names of the NVIDIA GPUs that the driver lists, [] where there is none."""
    program = shutil.which("nvidia-smi") if sys.platform != "darwin" else None
    if program is None:
        return []
    try:
        listing = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listing.stdout.splitlines() if line.strip()]


def machine_slug(architecture: str, cpu: str, cores: int, gpus: list[str]) -> str:
    """ "x86_64-amd-epyc-2c", "x86_64-intel-xeon-16c-1x-nvidia-h200": stable, short, safe as a folder name."""
    words = re.sub(r"\((R|TM|tm|r)\)|@.*$|\bCPU\b|\bProcessor\b|\d+-Core", " ", cpu)
    slug = "-".join([architecture, *words.split()[:3], f"{cores}c"])
    if gpus:
        slug += f"-{len(gpus)}x-" + "-".join(gpus[0].split()[:3])
    return re.sub(r"[^a-z0-9_]+", "-", slug.lower()).strip("-")
