"""The conditions of a PyTorch process, read back from it and probed by computing; nothing is echoed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from harness.backends import process
from harness.backends.probes import precision_of, probed_layer
from harness.backends.pytorch import compilation, runtime
from harness.backends.pytorch.remat import recomputes
from harness.backends.pytorch.runtime import around, policy_of
from harness.spec.execution import Execution

# Large enough that every thread of the pool gets a part; about 25 ms on one core.
WORK = 1024


@torch.no_grad()
def conditions(execution: Execution) -> dict[str, Any]:
    """See backends/contract.py. Takes about 0.1 s."""
    device = runtime.device_of(execution)
    products: list[torch.Tensor] = []
    threads = _threads()  # first: after a product of NumPy's the threads of its BLAS spin for a while

    def matmul(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        weight = torch.from_numpy(second).to(device).t().contiguous()
        return _array(torch.nn.functional.linear(torch.from_numpy(first).to(device), weight), products)

    def convolution(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
        weight = torch.from_numpy(kernel).to(device).permute(3, 2, 0, 1).contiguous()
        return _array(torch.nn.functional.conv2d(x, weight).permute(0, 2, 3, 1), products)

    mixed = execution.compute_dtype != execution.dtype
    precision = precision_of(
        _of_layer("matmul", execution, device, products) if mixed else matmul,
        _of_layer("convolution", execution, device, products) if mixed else convolution, execution.dtype)
    return {
        "backend": "pytorch",
        "device": _device(products[0].device),
        "precision": {
            "wanted": execution.precision, **precision,
            "switches": {"matmul_tf32": bool(torch.backends.cuda.matmul.allow_tf32),
                         "convolution_tf32": bool(torch.backends.cudnn.allow_tf32),
                         "autocast": bool(torch.is_autocast_enabled(device.type))},
        },
        "threads": {"wanted": execution.threads, **threads},
        "determinism": bool(torch.are_deterministic_algorithms_enabled()),
        # The caching allocator asks the device for more as it needs it, and has no other way.
        "allocator": {"growth": True if device.type == "cuda" else None},
        "compile": {"wanted": execution.compile, **_active(execution)},
        "remat": {"wanted": execution.remat, "recomputes": recomputes(execution)},
        "environment": process.variables(),
    }


def _of_layer(
    kind: str, execution: Execution, device: torch.device, kept: list[torch.Tensor],
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The product as a layer of a network computes it that is built as the session's: mixed precision is a matter of
    layers (tuned) or of what is around them (idiomatic), not of a switch."""
    from harness.backends.pytorch.model import build_network

    def product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        spec, policy = probed_layer(kind, first.shape, second.shape), policy_of(execution)
        network = build_network(spec, {f"{kind}/kernel": second}, policy).to(device).eval()
        with around(execution, device, policy)():
            return _array(network(torch.from_numpy(first).to(device)), kept)

    return product


def _active(execution: Execution) -> dict[str, Any]:
    """"active": "inductor" or "none" where the execution says which; None for "auto", which the backend decides.
    "off": why nothing would be compiled, or would be without a word run eagerly."""
    if execution.compile == execution.program == "auto":
        return {"active": None}
    if execution.compile != "inductor" and not execution.program.startswith("inductor"):
        return {"active": "none"}
    # Only torch.compile falls back; a step that the session itself records does not go through it.
    off = None if execution.program == "inductor step" else compilation.off()
    return {"active": "none", "off": off} if off else {"active": "inductor"}


def _array(result: torch.Tensor, kept: list[torch.Tensor]) -> np.ndarray:
    kept.append(result)
    return np.asarray(result.double().cpu().numpy())


def _threads() -> dict[str, Any]:
    """intra, inter: of the two pools; openmp, mkl: what these libraries say; parallelism: see process.py."""
    said = torch.__config__.parallel_info()
    work = torch.rand((WORK, WORK), generator=torch.Generator().manual_seed(0))
    return {
        "intra": torch.get_num_threads(), "inter": torch.get_num_interop_threads(),
        "openmp": _number(said, "omp_get_max_threads"), "mkl": _number(said, "mkl_get_max_threads"),
        "parallelism": process.parallelism(lambda: work @ work), "affinity": process.affinity(),
    }


def _number(text: str, name: str) -> int | None:
    """The number behind "NAME() : " in torch's own report; None for a build without that library."""
    match = re.search(rf"{name}\(\)\s*:\s*(\d+)", text)
    return int(match[1]) if match else None


def _device(device: torch.device) -> str:
    """"cpu", or "gpu:0 NVIDIA H200", of the device that a result lies on."""
    if device.type != "cuda":
        return device.type
    index = device.index or 0
    return f"gpu:{index} {torch.cuda.get_device_name(index)}"
