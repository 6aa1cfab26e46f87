"""The largest batch that trains: doubling until it does not, then halving the gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LARGEST = 2**20


@dataclass(frozen=True)
class LargestBatch:
    """batch: None where not even the smallest trains. at_limit: it was not tried beyond. tried: size -> whether it
    trained, in the order tried."""

    batch: int | None
    at_limit: bool
    tried: dict[int, bool]


def largest_batch(
    try_batch: Callable[[int], bool], start: int = 32, *, limit: int = LARGEST, resolution: float = 0.0,
) -> LargestBatch:
    """The largest batch size up to `limit` for which try_batch is true.

    try_batch(size): True if a few steps train, False if memory does not suffice; each size is tried once at most.
    resolution: how far below the truth the answer may be, as a fraction; 0 finds it exactly.
    Raises ValueError for sizes below 1.
    """
    if not 1 <= start <= limit:
        raise ValueError(f"expected 1 <= start <= limit, got {start} and {limit}")
    tried: dict[int, bool] = {}

    def trains(size: int) -> bool:
        if size not in tried:
            tried[size] = bool(try_batch(size))
        return tried[size]

    good, bad = 0, limit + 1
    size = start
    while good < size and trains(size):
        good, size = size, min(2 * size, limit)
    if size > good:
        bad = size
    while bad - good > max(1, int(resolution * good)):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if trains(middle) else (good, middle)
    return LargestBatch(good or None, good == limit, tried)
