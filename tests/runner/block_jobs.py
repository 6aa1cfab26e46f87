"""Halves of blocks without a framework: how fast they are and what goes wrong stands in the folder's behaviour.json."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from harness.errors import CellFailed
from tests.runner.jobs import note

# Two backends 10% apart, with 0.1% from block to block: three blocks decide.
SPEEDS = {"tensorflow": 1000.0, "pytorch": 1100.0}


def fake_conditions(arguments: dict[str, Any], emit: Any) -> Any:
    said, backend = behaviour(arguments), arguments["cell"]["backend"]
    log = place(arguments) / "halves.txt"
    first = not log.is_file() or f"conditions {backend}" not in log.read_text()
    note(log, f"conditions {backend}")
    found = said.get("errs_once" if first and "errs_once" in said else "threads", {})
    return {"backend": backend, "threads": found.get(backend, 1)}


def fake_half(arguments: dict[str, Any], emit: Any) -> Any:
    """What a half leaves: fast, slow, failed, killed or spoiled as behaviour.json says."""
    said, backend, block = behaviour(arguments), arguments["cell"]["backend"], arguments["block"]
    model = arguments["cell"]["model_name"]
    note(place(arguments) / "halves.txt", f"{model} {block} {backend}")
    emit({"event": "anything", "stage": "window"})
    time.sleep(said.get("sleep", 0.0))
    wrong = said.get("wrong", {}).get(f"{block} {backend}") or said.get("wrong", {}).get(f"* {backend}")
    if wrong == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if wrong == "nan_loss":
        raise CellFailed("nan_loss", "the loss became nan at step 3.")
    if wrong == "memory":
        raise MemoryError
    speeds = said.get("speeds", SPEEDS)
    rate = speeds[backend] * math.exp(random.Random(f"{block} {backend} {model}").gauss(0, said.get("spread", 0.001)))
    half = {"program": "fake", "played": arguments["cell"]["execution"].get("program", "auto"),
            "conditions": fake_state(said, backend), "loss": 0.5,
            "window": {"steps": 10, "samples": 320, "seconds": 320 / rate}}
    if said.get("latencies"):
        half["latency"] = {"p99_seconds": 0.001 * math.exp(random.Random(f"{block} {backend}").gauss(0, 0.3))}
    if wrong == "no window":
        half["window"] = None
    spoiled = {"seconds": 10.0, "cores": 2, "cpu_seconds": 10.0, "foreign_cpu_seconds": 0.1, "steal_seconds": 0.0,
               "throttled_seconds": 9.0 if wrong == "throttled" else 0.0, "thermal_events": None}
    return {"half": half, "machine": spoiled}


def fake_state(said: dict[str, Any], backend: str) -> dict[str, Any]:
    """What the half itself reads back, which may be another thing than was read before."""
    return {"backend": backend, "threads": said.get("threads_then", said.get("threads", {})).get(backend, 1)}


def fake_unfair(wanted: Any, found: Any) -> list[dict[str, Any]]:
    threads = {backend: half.get("conditions", half).get("threads") for backend, half in found.items()}
    if len(set(threads.values())) < 2:
        return []
    return [{"message": f"threads differ: {threads}. Mend them.", "what": "threads", "mend": "Mend them."}]


def behaviour(arguments: dict[str, Any]) -> dict[str, Any]:
    path = place(arguments) / "behaviour.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def place(arguments: dict[str, Any]) -> Path:
    return Path(arguments["cell"]["folder"])


def fake_try(arguments: dict[str, Any], emit: Any) -> Any:
    """Trains a batch if behaviour.json gives it room."""
    said, backend, batch = behaviour(arguments), arguments["cell"]["backend"], arguments["batch"]
    note(place(arguments) / "tries.txt", f"{backend} {batch} {arguments['bytes']}")
    ends = said.get("room", {}).get(backend, 100)
    if isinstance(ends, str):
        raise CellFailed(ends, "for a reason of its own.")
    if batch > ends:
        raise MemoryError
    return {"peak_bytes": None, "process_peak_bytes": 1000 * batch}
