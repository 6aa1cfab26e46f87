"""The programs of the tuned tier in PyTorch, by name (spec/execution.py: PROGRAMS), and what each plays a step with.

    eager           the modules and autograd, the update in fused kernels, the data on the device
    captured step   forward and backward recorded once, played as a list of operations without autograd
    inductor        forward and loss compiled by torch.compile, which derives the backward pass
    inductor step   the captured step, compiled by Inductor as a whole
    cuda graph      the captured step, replayed by the GPU from static buffers

All of them share the optimizer, which stands outside: they differ in how the gradients come about. Layouts are no
program of their own: images are channels-last in all of them.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from harness.backends.pytorch import runtime
from harness.backends.pytorch.captured import CapturedStep, Flat, compact
from harness.errors import SpecError
from harness.plan.plan import Plan
from harness.spec.execution import PROGRAMS, Execution

if TYPE_CHECKING:
    from harness.backends.pytorch.session import Objective, Session

NAMES = PROGRAMS["pytorch"]
EAGER, CAPTURED, INDUCTOR, INDUCTOR_STEP, CUDA_GRAPH = NAMES
IN_WORDS = {
    EAGER: "eager", CAPTURED: "captured step, without autograd", INDUCTOR: "forward and loss compiled by Inductor",
    INDUCTOR_STEP: "captured step, compiled by Inductor", CUDA_GRAPH: "captured step, replayed as a CUDA graph",
}
OWN_CHOICE = "Inductor chooses by itself what it keeps and what it computes again"
# Plays a step of the tape: (step, the examples' rows, learning rate).
Step = Callable[[int, Tensor, float], None]
# How often a step runs before it is recorded as a CUDA graph: what it needs is allocated by then.
WARMUPS = 3


def program_of(execution: Execution, plan: Plan) -> str:
    """The program that the execution asks for. Raises SpecError for one that this plan or device has not."""
    if execution.program == "auto":
        if execution.compile == "inductor" and execution.remat is not None:
            raise SpecError(f"compile: inductor and remat: {execution.remat}: {OWN_CHOICE}.", where="execution.remat",
                            hint="Use compile: none, or leave remat out.")
        return INDUCTOR if execution.compile == "inductor" else EAGER
    if execution.program not in NAMES:
        raise SpecError(f"PyTorch has no program {execution.program!r}.",
                        where="execution.program", hint=f"It has {', '.join(NAMES)}.")
    reason = refused(execution, plan).get(execution.program)
    if reason is not None:
        raise SpecError(f"the program {execution.program!r} cannot be run: {reason}.", where="execution.program",
                        hint=f"Use one of {', '.join(programs(execution, plan))}.")
    return execution.program


def programs(execution: Execution, plan: Plan) -> list[str]:
    """See Backend.programs."""
    without = refused(execution, plan)
    return [name for name in NAMES if name not in without]


def refused(execution: Execution, plan: Plan) -> dict[str, str]:
    """See Backend.refused_programs."""
    if execution.tier != "tuned":
        return dict.fromkeys(NAMES[1:], "the idiomatic tier runs what the tutorials write")
    found: dict[str, str] = {}
    device = runtime.device_of(execution)
    compiler = _missing_compiler(device)
    if compiler is not None:
        found |= dict.fromkeys((INDUCTOR, INDUCTOR_STEP), compiler)
    if device.type != "cuda":
        found[CUDA_GRAPH] = "it needs a GPU"
    elif plan.stochastic and not execution.uses_tape:
        found[CUDA_GRAPH] = "a replay draws from no generator of its own; with random: tape it can be run"
    if execution.remat is not None:
        found |= dict.fromkeys((INDUCTOR, INDUCTOR_STEP), OWN_CHOICE)
        if plan.stochastic and not execution.uses_tape:
            found[CAPTURED] = "what is recomputed would draw other numbers; with random: tape it can be run"
    return found


def _missing_compiler(device: torch.device) -> str | None:
    """What Inductor would need and does not find."""
    if device.type == "cuda":
        with contextlib.suppress(ImportError):
            import triton  # noqa: F401

            return None
        return "Inductor needs Triton on a GPU, which is not installed"
    if any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        return None
    return "Inductor needs a C++ compiler on a CPU, and there is none"


def compiled_loss(name: str, objective: Objective) -> Callable[..., Any]:
    """(inputs, targets, sample weights) -> what Objective gives, as that program computes it."""
    if name != INDUCTOR:
        return objective
    _quiet_inductor()
    compiled = torch.compile(objective, dynamic=False)
    mixed = objective.network.mixed
    if mixed is None:
        return compiled

    def of_half_weights(*batch: Any) -> Any:
        # Outside, where the copies' gradients go on to the weights; a compiled module cannot be given other weights.
        with mixed.half_weights():
            return compiled(*batch)

    return of_half_weights


def step_of(name: str, session: Session) -> Step | None:
    """What plays a step, None where the session's own does."""
    if name == CAPTURED:
        return CapturedStep(session)
    if name == INDUCTOR_STEP:
        return CapturedStep(session, compiled_by_inductor)
    if name == CUDA_GRAPH:
        return CapturedStep(session, replayed, static=True)
    return None


def compiled_by_inductor(graph: fx.GraphModule, given: list[Tensor]) -> Flat:
    """The recorded step as one compiled function of the same arguments."""
    import torch._inductor

    _quiet_inductor()
    with torch.no_grad():
        function: Flat = torch._inductor.compile(graph, [*given])
    return function


def _quiet_inductor() -> None:
    """Compiles in this process: a pool of processes would go on beside the clock."""
    import torch._inductor.config

    torch._inductor.config.compile_threads = 1


def replayed(graph: fx.GraphModule, given: list[Tensor]) -> Flat:
    """The recorded step as a CUDA graph. given: the rows, which are copied in at every step, and what is resident,
    which is read and written where it lies."""
    run = compact(graph)
    rows = given[0].clone()
    static = [rows, *given[1:]]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside), torch._C._AutoDispatchBelowAutograd():
        for _ in range(WARMUPS):
            run(*static)
    torch.cuda.current_stream().wait_stream(aside)
    recording = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recording), torch._C._AutoDispatchBelowAutograd():
        made: Sequence[Tensor] = run(*static)

    def replay(new: Tensor, *_: Tensor) -> Sequence[Tensor]:
        rows.copy_(new)
        recording.replay()
        return made

    return replay
