"""The frameworks, and the variables of the environment that change one of them and not the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.measure.machine import Look, Severity, Trouble

# Set to execution.threads they do no harm; 1 is its default. (measure/parity.py refuses another number.)
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
          "TF_NUM_INTEROP_THREADS")
THREADS = ("OMP_PROC_BIND", "OMP_PLACES", "OMP_WAIT_POLICY", "KMP_AFFINITY", "KMP_BLOCKTIME",
           "GOMP_CPU_AFFINITY", "MKL_DYNAMIC", "OMP_DYNAMIC")
PRECISION = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE",
             "DNNL_DEFAULT_FPMATH_MODE", "TF_SET_ONEDNN_FPMATH_MODE", "TF_ENABLE_AUTO_MIXED_PRECISION",
             "TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
COMPILERS = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_FUNCTION_JIT_COMPILE_DEFAULT", "TORCH_COMPILE_DISABLE",
             "TORCHDYNAMO_DISABLE", "TORCHDYNAMO_SUPPRESS_ERRORS", "TORCHINDUCTOR_MAX_AUTOTUNE",
             "CUDA_LAUNCH_BLOCKING", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC", "CUBLAS_WORKSPACE_CONFIG",
             "PYTORCH_JIT")
MEMORY = ("TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF",
          "LD_PRELOAD", "MALLOC_ARENA_MAX")
KINDS: tuple[tuple[tuple[str, ...], str, Severity], ...] = (
    (THREADS, "it changes where, or how, the threads of one framework wait and run", "adds noise"),
    (PRECISION, "it changes in which number format, or with which kernels, a framework multiplies", "spoils"),
    (COMPILERS, "it changes what a framework compiles, or which kernels it takes", "spoils"),
    (MEMORY, "it changes how a framework gets its memory", "adds noise"),
    (("CUDA_VISIBLE_DEVICES",), "it chooses the GPUs that are seen", "note"),
)


def variables(look: Look) -> Iterator[Trouble]:
    for name in COUNTS:
        count = look.system.environ.get(name)
        if count is not None:
            yield Trouble(f"{name}={count} is set",
                          "one framework takes its threads from it, the other does not: unequal conditions",
                          f"unset {name}, or set it to execution.threads", "note" if count == "1" else "spoils")
    for names, why, severity in KINDS:
        for name in names:
            if name in look.system.environ:
                yield Trouble(f"{name}={look.system.environ[name]} is set", why, f"unset {name}", severity)


def frameworks(look: Look) -> Iterator[Trouble]:
    """Those that do not answer, and those that do not see the GPU."""
    for name, answer in (look.frameworks or {}).items():
        if "error" in answer:
            yield Trouble(f"{name} cannot be used: {answer['error']}", "there is nothing to compare it with",
                          f"install it anew: pip install --force-reinstall {PACKAGES.get(name, name)}", "spoils")
        elif _has_gpu(look) and not answer.get("gpus"):
            yield Trouble(f"{name} does not see the GPU{_mismatch(look, answer)}",
                          "it would train on the CPU, the other one on the GPU",
                          "install its GPU build, for a CUDA that the driver knows, or use execution.device: cpu",
                          "spoils")


PACKAGES = {"tensorflow": "tensorflow keras", "pytorch": "torch"}


def _has_gpu(look: Look) -> bool:
    # What the user hid is not missed.
    hidden = look.system.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    return not hidden and bool((look.system.run(["nvidia-smi", "-L"]) or "").strip())


def _mismatch(look: Look, answer: Mapping[str, Any]) -> str:
    """" (it is built for CUDA 13.0, the driver knows up to 12.4)"."""
    built = answer.get("cuda")
    header = re.search(r"CUDA Version:\s*([\d.]+)", look.system.run(["nvidia-smi"]) or "")
    if built is None:
        return " (it is a build without CUDA)"
    if header and _version(str(built)) > _version(header[1]):
        return f" (it is built for CUDA {built}, the driver knows up to {header[1]})"
    return ""


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


CHECKS = (frameworks, variables)
