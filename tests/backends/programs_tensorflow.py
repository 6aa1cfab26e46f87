"""The program of test_programs.py in TensorFlow: python -m tests.backends.programs_tensorflow FILE CHECK... writes
{check: None or what went wrong} as JSON. A check is one of CHECKS, or "program / model / recipe / dtype"."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from harness.backends.tensorflow.backend import BACKEND
from harness.errors import SpecError
from harness.spec.execution import Execution
from tests.backends.program_cases import Case, same


def one_program_for_all_steps() -> str | None:
    """XLA compiles a step once for each batch size, not for each place on the tape."""
    case = Case("mlp", dtype="float32")
    session = case.open(BACKEND, program="xla step")
    session.train(0, len(case.plan.tape))
    session.wait()
    found = session.compilation()
    return None if (found["compiler"], found["programs"], found["fallback"]) == ("xla", 2, None) else str(found)


def what_is_refused() -> str | None:
    case = Case("mlp")
    if BACKEND.programs(Execution(device="cpu"), case.plan) != ["graph loop", "xla loop", "xla step"]:
        return str(BACKEND.programs(Execution(device="cpu"), case.plan))
    refused = BACKEND.refused_programs(Execution(device="cpu", tier="idiomatic"), case.plan)
    if set(refused) != {"xla loop", "xla step"}:
        return str(refused)
    try:
        case.open(BACKEND, program="captured step")
    except SpecError as error:
        return None if "TensorFlow has no program 'captured step'" in str(error) else str(error)
    return "it was opened"


CHECKS: dict[str, Callable[[], str | None]] = {
    check.__name__: check for check in (one_program_for_all_steps, what_is_refused)}


def outcome(check: str) -> str | None:
    try:
        if check in CHECKS:
            return CHECKS[check]()
        program, model, recipe, dtype = check.split(" / ")
        return same(BACKEND, Case(model, recipe, dtype, weighted=model == "mlp"), program)
    except Exception:
        return traceback.format_exc()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps({check: outcome(check) for check in sys.argv[2:]}))
