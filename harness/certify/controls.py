"""How far a framework goes from itself: perturbations of the size of one rounding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.plan.randomness import generator

# Significant bits of the half types, the leading one counted.
HALF_BITS = {"float16": 11, "bfloat16": 8}


def one_ulp(arrays: Mapping[str, np.ndarray], dtype: str, seed: int) -> dict[str, np.ndarray]:
    """Every non-zero floating-point number moved to the next one of `dtype`, up or down by chance.

    dtype: what the arrays will be computed in; they are rounded to it first. Zeros stay: their neighbours are the
    smallest numbers there are, no rounding. Whole numbers are left alone.
    """
    moved = {}
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            moved[name] = array
            continue
        rounded = np.asarray(array, dtype)
        up = generator(seed, "one ulp", name).random(rounded.shape) < 0.5
        limits = np.where(up, np.inf, -np.inf).astype(rounded.dtype)
        moved[name] = np.where(rounded == 0, rounded, np.nextafter(rounded, limits))
    return moved


def one_half_ulp(arrays: Mapping[str, np.ndarray], half: str, seed: int) -> dict[str, np.ndarray]:
    """Every floating-point number moved up or down by one unit in the last place that it has in `half`, one of
    HALF_BITS; its dtype is kept. It is what a layer may make of a weight, or of what it computes with it."""
    moved = {}
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            moved[name] = array
            continue
        up = generator(seed, "one half ulp", name).random(array.shape) < 0.5
        _, exponent = np.frexp(array)
        unit = np.where(array == 0, 0.0, np.ldexp(1.0, exponent - HALF_BITS[half]))
        moved[name] = (array + np.where(up, unit, -unit)).astype(array.dtype)
    return moved
