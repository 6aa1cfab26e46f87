"""The random bits behind every dropout mask and every noise value: a counter-based integer hash.

The same bits come out of NumPy, TensorFlow (eager, graph, XLA) and PyTorch (eager, compiled), because
only 32-bit integer arithmetic is used. The bits depend on the key of (seed, layer, step), which the tape
holds, and on the element's position in Keras's layout (channels last, C order).

The mixer is the public-domain "lowbias32" (two multiplications, three xor-shifts), applied twice, each time
after a word of the key was mixed in.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

MULTIPLIERS = (0x7FEB352D, 0x846CA68B - 2**32)  # as signed 32-bit integers
SHIFTS = (16, 15, 16)
# Positions of the normal table: 2^16 equally probable values.
NORMAL_BITS = 16
# Uniform numbers are multiples of 2^-24: the same numbers in float32 and in float64.
UNIFORM_BITS = 24
# What tells the arrays apart that one call draws (the golden ratio's odd 32 bits, as in splitmix).
STREAM = 0x9E3779B9


def stream_word(stream: int) -> int:
    """The signed 32-bit integer that is mixed into the key for the `stream`-th array of a call; 0 for the first."""
    return (stream * STREAM + 2**31) % 2**32 - 2**31


def bits(key: np.ndarray, size: int, stream: int = 0) -> np.ndarray:
    """int32 [size]: the hash of positions 0..size-1 under a key of two int32 words. The reference."""
    x = np.arange(size, dtype=np.uint32)
    first, second = (int(word) for word in np.asarray(key, np.int32))
    for word in (first, second ^ stream_word(stream)):
        x = x ^ np.uint32(word % 2**32)
        x ^= x >> np.uint32(SHIFTS[0])
        x *= np.uint32(MULTIPLIERS[0])
        x ^= x >> np.uint32(SHIFTS[1])
        x *= np.uint32(MULTIPLIERS[1] % 2**32)
        x ^= x >> np.uint32(SHIFTS[2])
    return x.astype(np.int32)


def uniform(key: np.ndarray, size: int, stream: int = 0) -> np.ndarray:
    """float64 [size]: uniform numbers in [0, 1). The reference."""
    drawn = bits(key, size, stream).astype(np.uint32) >> np.uint32(32 - UNIFORM_BITS)
    return np.asarray(drawn * 2.0**-UNIFORM_BITS)


def integers(key: np.ndarray, size: int, low: int, high: int, stream: int = 0) -> np.ndarray:
    """int64 [size]: whole numbers in [low, high). The reference."""
    drawn = (bits(key, size, stream).astype(np.uint32) >> np.uint32(32 - UNIFORM_BITS)).astype(np.int64)
    return np.asarray(low + ((drawn * (high - low)) >> UNIFORM_BITS))


def order(key: np.ndarray, size: int, stream: int = 0) -> np.ndarray:
    """int64 [size]: a permutation of 0..size-1, equal bits in their own order. The reference."""
    return np.argsort(bits(key, size, stream), kind="stable")


def threshold(rate: float) -> int:
    """An element is kept iff its bits, read as a signed integer, are >= this: probability 1 - rate."""
    return min(round(rate * 2**32) - 2**31, 2**31 - 1)


@functools.cache
def normal_table() -> np.ndarray:
    """float64 [65536]: the standard normal's quantiles at the midpoints, scaled to variance 1 exactly.

    Noise is looked up here by 16 of an element's bits: the same numbers in both frameworks, which no
    formula with a logarithm would give.
    """
    from scipy.special import ndtri

    count = 2**NORMAL_BITS
    table = ndtri((np.arange(count) + 0.5) / count)
    return np.asarray(table / np.sqrt(np.mean(table**2)))


def layer_keys(seed: int, phase: int, layer: str, first: int, steps: int) -> np.ndarray:
    """int32 [steps, 2]: the keys of one stochastic call at each step of a phase."""
    return generator(seed, "keys", phase, layer, first).integers(-(2**31), 2**31, (steps, 2), dtype=np.int32)


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """An independent NumPy generator for a purpose, reproducible from the seed and the purpose's words."""
    digest = hashlib.sha256("\x00".join([str(seed), *map(str, purpose)]).encode()).digest()
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(digest, "little")))
