"""The measured ceiling of a machine: the rate of its fastest large matrix product, so that a CPU has one too.

It says what part of what this machine can really do a training reaches, not what the machine could do: other libraries
may be faster. NumPy's BLAS is not the frameworks' own: a ceiling that is to bound them (measure/guards.py) is measured
with their products, through `measured_ceiling`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.records.process import Clock

SIZES = (512, 1024, 2048)
SECONDS = 0.5
LEAST_CALLS = 3


@dataclass(frozen=True)
class Ceiling:
    """flops_per_second: of the fastest call of the fastest size. size: of the square matrices. calls: over all sizes.

    threads: of the pool that was held to them, None where none was; `reason` then says why.
    """

    flops_per_second: float
    size: int
    calls: int
    precision: str
    library: str
    threads: int | None = None
    reason: str | None = None

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def measured_ceiling(
    product_of: Callable[[int], Callable[[], object]], precision: str, library: str, *,
    sizes: tuple[int, ...] = SIZES, seconds: float = SECONDS, clock: Clock = time.perf_counter,
) -> Ceiling:
    """The ceiling of somebody's matrix products.

    product_of: for a size n, a call that multiplies two resident n x n matrices and returns when the result is there.
    seconds: of each size, at least.
    """
    best, calls = (0.0, sizes[0]), 0
    for size in sizes:
        call = product_of(size)
        call()  # allocates, compiles, wakes the threads
        fastest, count, began = float("inf"), 0, clock()
        while count < LEAST_CALLS or clock() - began < seconds:
            start = clock()
            call()
            fastest, count = min(fastest, clock() - start), count + 1
        calls += count
        if fastest > 0:
            best = max(best, (2.0 * size**3 / fastest, size))
    return Ceiling(best[0], best[1], calls, precision, library)


def numpy_ceiling(
    precision: str = "float32", threads: int | None = 1, *, sizes: tuple[int, ...] = SIZES, seconds: float = SECONDS,
    clock: Clock = time.perf_counter,
) -> Ceiling:
    """NumPy's, in float32 or float64. threads: of its BLAS; None or 0 leaves them as they are."""
    def product_of(size: int) -> Callable[[], object]:
        draw = np.random.default_rng(0)
        first, second = draw.standard_normal((2, size, size)).astype(precision)
        result = np.empty_like(first)
        return lambda: np.matmul(first, second, out=result)

    with held_threads(threads) as (held, library, reason):
        found = measured_ceiling(product_of, precision, library, sizes=sizes, seconds=seconds, clock=clock)
    return Ceiling(**{**found.to_data(), "threads": held, "reason": reason})


@contextlib.contextmanager
def held_threads(threads: int | None) -> Iterator[tuple[int | None, str, str | None]]:
    """Holds BLAS to so many threads: (how many are held, the library, why none is held)."""
    try:
        import threadpoolctl  # type: ignore[import-untyped]
    except ImportError:
        yield None, "numpy", "threadpoolctl is not installed: the threads are those of the environment"
        return
    if not threads:
        yield None, _library(threadpoolctl.threadpool_info()), "the threads were left as they are"
        return
    with threadpoolctl.threadpool_limits(limits=threads, user_api="blas"):
        pools = [pool for pool in threadpoolctl.threadpool_info() if pool.get("user_api") == "blas"]
        counts = {int(pool["num_threads"]) for pool in pools}
        if counts == {threads}:
            yield threads, _library(pools), None
        else:
            yield None, _library(pools), f"the BLAS that NumPy uses cannot be held to {threads} thread(s)"


def _library(pools: list[dict[str, Any]]) -> str:
    names = [f"{pool.get('internal_api')} {pool.get('version') or ''}".strip() for pool in pools
             if pool.get("user_api") == "blas"]
    return "numpy with " + ", ".join(names) if names else "numpy"
