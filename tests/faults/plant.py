"""What runs in the children in place of the certificate's own job: the fault first, then the job; and, in the other
backend, what its job has found before."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.runner.certifying import certify_job
from tests.faults.mutants import MUTANTS

# Arguments that say where files are, not what is asked for.
PLACES = ("folder", "file", "next", "teacher", "fault", "cache")


def job(arguments: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> Any:
    """arguments["fault"]: the mutant's name. A child is one job, so that the fault is gone with it."""
    MUTANTS[arguments["fault"]]()
    return certify_job(arguments, emit)


def remembered_job(arguments: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> Any:
    """The same without a fault. arguments["cache"]: a folder; the same question is answered once."""
    kept = Path(arguments["cache"]) / _question(arguments)
    places = {"file": Path(arguments["file"])} | ({"next": Path(arguments["next"])} if "next" in arguments else {})
    if (kept / "value.json").exists():
        for name, place in places.items():
            shutil.copyfile(kept / name, place)
        return json.loads((kept / "value.json").read_text())
    value = certify_job(arguments, emit)
    kept.mkdir(parents=True, exist_ok=True)
    for name, place in places.items():
        shutil.copyfile(place, kept / name)
    (kept / "value.json").write_text(json.dumps(value))
    return value


def _question(arguments: dict[str, Any]) -> str:
    """What the answer depends on: the arguments, and the files that they lead to."""
    folder, phase = Path(arguments["folder"]), arguments["phase"]
    read = [folder / "subject.json", folder / f"data {phase}.npz", folder / f"start {phase}.safetensors"]
    if "teacher" in arguments:
        read.append(Path(arguments["teacher"]))
    asked = {name: value for name, value in arguments.items() if name not in PLACES}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    for path in read:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]
