"""The program of test_programs.py in PyTorch: python -m tests.backends.programs_pytorch FILE CHECK... writes
{check: None or what went wrong} as JSON. A check is one of CHECKS, or "program / model / recipe / dtype"."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.backends.pytorch.backend import BACKEND
from harness.backends.pytorch.captured import CaptureError
from harness.errors import SpecError
from harness.spec.execution import Execution
from tests.backends.program_cases import Case, furthest, same


def loading_starts_again() -> str | None:
    """The captured step reads and writes the session's own tensors: after `load` it trains from there."""
    case = Case("cnn")
    session = case.open(BACKEND, program="captured step")
    first = session.state()
    weights = {name: np.array(array) for name, array in first.weights.items()}
    once = case.played(session)
    session.load(type(first)(weights, {slot: {name: np.zeros_like(array) for name, array in arrays.items()}
                                       for slot, arrays in first.slots.items()}, 0))
    apart, name = furthest(case.played(session), once)
    return None if apart == 0 else f"{name} differs by {apart:.3g} the second time"


def tracing_sees_every_call() -> str | None:
    """A certificate looks at the step as the modules play it, and the program is played on afterwards."""
    case = Case("cnn")
    sessions = [case.open(BACKEND, program=program) for program in ("captured step", "eager")]
    for session in sessions:
        session.train(0, 2)
    found, wanted = (session.trace(2) for session in sessions)
    apart, name = furthest(found, wanted)
    return None if apart < 1e-12 and sessions[0].program_step is not None else f"{name} differs by {apart:.3g}"


def recording_leaves_no_trace() -> str | None:
    """Recording plays a step, and takes the moving statistics back to what they were."""
    case = Case("cnn")
    session = case.open(BACKEND, program="captured step")
    before = session.state().weights
    session.program_step._recorded(session.indices[0, :8])
    apart, name = furthest(session.state().weights, before)
    return None if apart == 0 else f"{name} was changed by {apart:.3g}"


def looking_at_values_is_an_error() -> str | None:
    """A step that is another one for other numbers cannot be recorded, and does not run as anything else."""
    case = Case("mlp")
    session = case.open(BACKEND, program="captured step")
    objective = session.objective

    class Peeking:
        network, activated = objective.network, staticmethod(objective.activated)

        def __call__(self, x, y, weights):
            loss, parts, outputs = objective(x, y, weights)
            return (loss if loss.item() > 1 else 2 * loss), parts, outputs

    session.objective = Peeking()
    before = session.state().weights
    try:
        session.train(0, 1)
    except CaptureError as error:
        apart, _ = furthest(session.state().weights, before)
        return None if apart == 0 and "cannot be captured" in str(error) else str(error)
    return "it was recorded"


def what_is_refused() -> str | None:
    case = Case("mlp")
    execution = Execution(device="cpu")
    if BACKEND.programs(execution, case.plan) != ["eager", "captured step", "inductor", "inductor step"]:
        return str(BACKEND.programs(execution, case.plan))
    if BACKEND.refused_programs(execution, case.plan) != {"cuda graph": "it needs a GPU"}:
        return str(BACKEND.refused_programs(execution, case.plan))
    for program, words in (("cuda graph", "needs a GPU"), ("xla loop", "PyTorch has no program 'xla loop'")):
        try:
            case.open(BACKEND, program=program)
        except SpecError as error:
            if words not in str(error):
                return str(error)
        else:
            return f"{program} was opened"
    return None


CHECKS: dict[str, Callable[[], str | None]] = {
    check.__name__: check for check in (
        loading_starts_again, tracing_sees_every_call, recording_leaves_no_trace, looking_at_values_is_an_error,
        what_is_refused)
}


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
