"""What was really compiled of a session's program, by torch's own counters and the session's own steps.

torch.compile falls back to eager without an error in several cases: switched off by the environment or a stance, an
error of the compiler that is suppressed, a function compiled too often. A frame that was tried and is not "ok" then
runs eagerly. The captured steps (programs.py) raise where they fail.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from harness.spec.execution import PROGRAMS

if TYPE_CHECKING:
    from harness.backends.pytorch.session import Session

COMPILERS = dict(zip(PROGRAMS["pytorch"], ("none", "capture", "inductor", "inductor", "cuda graph"), strict=True))
# Programs that torch.compile makes; the others with a compiler are steps recorded by the session itself.
BY_DYNAMO = "inductor"


def off() -> str | None:
    """Why torch.compile would compile nothing, or would hide that it failed; None if it works. Imports torch._dynamo,
    as compiling does."""
    import torch._dynamo

    config: Any = torch._dynamo.config
    if config.disable:
        names = [name for name in ("TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE") if os.environ.get(name)]
        return f"torch.compile is switched off{' by ' + names[0] if names else ''}"
    stance = getattr(getattr(torch._dynamo.eval_frame, "_stance", None), "stance", "default")
    if stance == "force_eager":
        return "torch.compile's stance is 'force_eager'"
    if config.suppress_errors:
        return "torch._dynamo.config.suppress_errors is on: what fails to compile runs eagerly"
    return None


def found(session: Session, before: int | None) -> dict[str, Any]:
    """See Session.compilation. before: the programs at its last call."""
    wanted = COMPILERS[session.program_name]
    if wanted == "none":
        return {"compiler": "none", "wanted": "none", "programs": 0, "recompiles": 0, "graph_breaks": None,
                "seconds": None, "fallback": None}
    counted = _by_dynamo() if session.program_name == BY_DYNAMO else _recorded(session)
    return {"compiler": wanted if counted["programs"] else "none", "wanted": wanted, **counted,
            "recompiles": 0 if before is None else counted["programs"] - before}


def _by_dynamo() -> dict[str, Any]:
    """Of every torch.compile in this process."""
    if "torch._dynamo" not in sys.modules:
        return {"programs": 0, "graph_breaks": None, "seconds": None, "fallback": "nothing was given to torch.compile"}
    from torch._dynamo.utils import compilation_time_metrics, counters

    programs, frames = int(counters["stats"]["unique_graphs"]), counters["frames"]
    eager = int(frames["total"] - frames["ok"])
    if not programs:
        fallback: str | None = off() or "torch.compile was asked for, but no graph was compiled"
    else:
        fallback = f"{eager} frame(s) could not be compiled and run eagerly" if eager > 0 else None
    return {
        "programs": programs, "graph_breaks": int(sum(counters["graph_break"].values())),
        "seconds": float(sum(compilation_time_metrics.get("_compile.compile_inner", []))) or None,
        "fallback": fallback,
    }


def _recorded(session: Session) -> dict[str, Any]:
    """Of a captured step: one program for each batch size."""
    steps = getattr(session.program_step, "steps", None)
    fallback = None if steps else "the steps are played eagerly" if steps is None else "no step was recorded"
    return {"programs": len(steps or ()), "graph_breaks": None, "seconds": None, "fallback": fallback}
