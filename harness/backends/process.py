"""What a process says of itself, whatever framework it runs: its CPUs, its threads at work, its environment."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Callable

# What a framework reads once, mostly when it is imported: a scheduler or a shell profile that sets one of them
# changes the one framework and not the other.
VARIABLES = (
    "OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "OMP_WAIT_POLICY", "KMP_AFFINITY", "KMP_BLOCKTIME",
    "GOMP_CPU_AFFINITY", "MKL_NUM_THREADS", "MKL_DYNAMIC", "OPENBLAS_NUM_THREADS", "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "XLA_FLAGS", "TF_XLA_FLAGS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_ENABLE_ONEDNN_OPTS", "TF_SET_ONEDNN_FPMATH_MODE",
    "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR",
    "TF_ENABLE_AUTO_MIXED_PRECISION", "TF_FUNCTION_JIT_COMPILE_DEFAULT", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE", "TORCHDYNAMO_SUPPRESS_ERRORS", "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF", "MALLOC_ARENA_MAX", "LD_PRELOAD",
)
TASKS = "/proc/self/task"


def variables() -> dict[str, str]:
    """Those of VARIABLES that are set."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def affinity() -> list[int]:
    """The CPUs that this process may run on; all of them where the system cannot say."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def parallelism(work: Callable[[], object], attempts: int = 3) -> float | None:
    """How many threads really share some work: the CPU seconds of all threads over those of the busiest, the median
    of some attempts (something else of this process may run beside one of them). 1.0 is one thread. Other processes
    on the machine do not move it, as they would a wall clock. None where the system does not count CPU time by thread
    (Linux does)."""
    found = []
    for _ in range(attempts):
        before = _cpu_seconds()
        work()
        after = _cpu_seconds()
        spent = [seconds - before.get(thread, 0.0) for thread, seconds in after.items()]
        if not before or max(spent, default=0.0) <= 0:
            return None
        found.append(sum(spent) / max(spent))
    return statistics.median(found)


def _threads() -> list[str]:
    try:
        return os.listdir(TASKS)
    except OSError:
        return []


def _cpu_seconds() -> dict[str, float]:
    """Thread -> CPU seconds, to the nanosecond (proc(5), /proc/PID/schedstat)."""
    found = {}
    for thread in _threads():
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"{TASKS}/{thread}/schedstat") as file:
            found[thread] = int(file.read().split()[0]) * 1e-9
    return found
