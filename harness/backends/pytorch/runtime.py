"""The process-wide switches of PyTorch: device, threads, precision, determinism; set, then read back."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import torch

from harness.errors import SpecError
from harness.spec.execution import Execution, no_tf32


def device_of(execution: Execution) -> torch.device:
    """The device that the execution asks for. Raises SpecError if there is none."""
    if execution.device == "gpu" and not torch.cuda.is_available():
        raise SpecError("execution.device is 'gpu', but PyTorch sees no GPU.", hint="Use device: cpu or auto.")
    return torch.device("cuda" if execution.device != "cpu" and torch.cuda.is_available() else "cpu")


def configure(execution: Execution) -> dict[str, Any]:
    """Sets what the execution asks for and returns what PyTorch says it is."""
    device = device_of(execution)
    tf32 = execution.precision == "tf32"
    if tf32 and device.type != "cuda":
        raise no_tf32()
    if execution.threads:
        torch.set_num_threads(execution.threads)
        # Can be set once per process only; what holds is read back below.
        with contextlib.suppress(RuntimeError):
            torch.set_num_interop_threads(execution.threads)
    # For products and for convolutions; the second is on in torch itself, the first off.
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    if execution.deterministic and device.type == "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    return {
        "device": "gpu" if device.type == "cuda" else "cpu",
        "threads": {"intra_op": torch.get_num_threads(), "inter_op": torch.get_num_interop_threads()},
        "precision": {"matmul_tf32": bool(torch.backends.cuda.matmul.allow_tf32),
                      "convolution_tf32": bool(torch.backends.cudnn.allow_tf32)},
    }


def policy_of(execution: Execution) -> str:
    """The dtype policy of the network's layers. The idiomatic tier has none: its tutorials write torch.autocast."""
    return execution.dtype if execution.tier == "idiomatic" else execution.policy


def around(
    execution: Execution, device: torch.device, policy: str,
) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """What each forward pass of a network of that policy stands in: torch.autocast where mixed precision is wanted and
    its layers have no policy for it."""
    if execution.policy == policy:
        return contextlib.nullcontext
    half = {"float16": torch.float16, "bfloat16": torch.bfloat16}[execution.compute_dtype]
    return functools.partial(torch.autocast, device.type, half)


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


def wait(device: torch.device) -> None:
    """Returns when the device is idle."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(device: torch.device) -> int | None:
    """Peak of the GPU allocator; None on a CPU, where PyTorch keeps no count."""
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else None
