"""Jobs that compile, as far as files tell."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any


def compile_one(arguments: dict[str, Any], emit: Any) -> Any:
    """Leaves one more library in the cache, after half of it; {"found": what was there, "warm": whether anything}."""
    from harness.runner.compiled import CACHE, is_warm

    folder, warm = Path(os.environ[CACHE]), is_warm()
    found = sorted(path.name for path in folder.rglob("*.so"))
    place = folder / "ab" / f"{arguments['name']}.so"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("half")
    if arguments.get("ends") == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if arguments.get("ends") == "failed":
        raise RuntimeError("the compiler failed")
    place.write_text("whole")
    whole = all(path.read_text() == "whole" for path in folder.rglob("*.so"))
    return {"found": found, "warm": warm, "whole": whole, "path": str(folder)}
