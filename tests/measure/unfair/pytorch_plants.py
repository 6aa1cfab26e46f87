"""PyTorch under unfair conditions, one at a time: what the harness reads back of each. See test_unfair.py.

python pytorch_plants.py FILE. PyTorch alone.
"""

from __future__ import annotations

import contextlib
import os
import time
from unittest import mock

import torch

from harness.backends.probes import TF32_BITS, rounded
from harness.backends.pytorch import programs
from harness.backends.pytorch.backend import BACKEND
from harness.errors import CellFailed
from harness.measure.fairness import judged
from harness.spec.execution import Execution
from tests.measure.unfair.subject import Subject, normalised_model, run

PLAIN = Execution(device="cpu")


def clean():
    began = time.process_time()
    found = BACKEND.conditions(PLAIN)
    return {"conditions": found, "cpu_seconds": time.process_time() - began}


def conditions(execution=PLAIN):
    return {"conditions": BACKEND.conditions(execution)}


def autocast(dtype):
    """Automatic mixed precision left on in the process: real, on any CPU."""
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", dtype)
    try:
        return conditions()
    finally:
        torch.set_autocast_enabled("cpu", False)


def rounding(function):
    """The product of operands with as many bits as tf32 keeps: what a GPU's tensor cores do."""
    def product(*operands):
        return function(*(torch.from_numpy(rounded(operand.contiguous().numpy(), TF32_BITS)) for operand in operands))

    return product


def tf32(name):
    functional = torch.nn.functional
    with mock.patch.object(functional, name, rounding(getattr(functional, name))):
        return conditions()


def two_threads():
    torch.set_num_threads(2)
    try:
        return conditions()
    finally:
        torch.set_num_threads(1)


def scheduler():
    with mock.patch.dict(os.environ, OMP_NUM_THREADS="4"):
        return conditions()


def session(**changes):
    subject = Subject(BACKEND, **changes)
    return {**conditions(subject.execution), **subject.facts(), "mode": subject.mode()}


def evaluation_mode(**changes):
    original = torch.nn.Module.train
    with mock.patch.object(torch.nn.Module, "train", lambda self, mode=True: original(self, False)):
        return session(**changes)


def stopped():
    """What a worker says of a session that infers, when it is warm and before it is timed."""
    subject, original = Subject(BACKEND), torch.nn.Module.train
    with mock.patch.object(torch.nn.Module, "train", lambda self, mode=True: original(self, False)):
        try:
            judged(subject.execution, "pytorch", BACKEND.conditions(subject.execution), subject.session, subject.plan,
                   subject.data)
        except CellFailed as error:
            return {"kind": error.kind, "message": str(error)}
    return {}


@contextlib.contextmanager
def compiled_by(backend, **config):
    """torch.compile with another compiler than Inductor, which would take a quarter of a minute."""
    import torch._dynamo

    def made(name, objective):
        return torch.compile(objective, backend=backend, dynamic=False)

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with mock.patch.object(programs, "compiled_loss", made), torch._dynamo.config.patch(**config):
        yield


def broken(graph, inputs):
    raise RuntimeError("this compiler fails")


def compiled(backend, steps, **config):
    with compiled_by(backend, **config):
        subject = Subject(BACKEND, compile="inductor")
        first = subject.played(steps)
        return {**conditions(subject.execution), "compilation": first, "later": subject.played(3)}


def switched_off():
    with compiled_by("eager", disable=True):
        return {**conditions(Execution(device="cpu", compile="inductor")),
                "compilation": Subject(BACKEND, compile="inductor").played(2)}


PLANTS = {
    "clean": clean,
    "session": session,
    "normalised": lambda: session(model=normalised_model),
    "bfloat16": lambda: autocast(torch.bfloat16),
    "float16": lambda: autocast(torch.float16),
    "tf32 matmul": lambda: tf32("linear"),
    "tf32 convolution": lambda: tf32("conv2d"),
    "two threads": two_threads,
    "scheduler": scheduler,
    "batch size": lambda: session(batch_size=4),
    "data path": lambda: session(tier="idiomatic"),
    "evaluation mode": evaluation_mode,
    "evaluation mode, normalised": lambda: evaluation_mode(model=normalised_model),
    "stopped": stopped,
    "compiled": lambda: compiled("eager", 3),
    "compiled later": lambda: compiled("eager", 1),
    "compiler fails": lambda: compiled(broken, 1, suppress_errors=True),
    "compiled too often": lambda: compiled("eager", 3, recompile_limit=1),
    "compiler switched off": switched_off,
    "captured": lambda: {"compilation": Subject(BACKEND, program="captured step").played(3)},
}


if __name__ == "__main__":
    BACKEND.configure(PLAIN)
    run(PLANTS)
