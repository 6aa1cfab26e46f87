"""How far a framework goes from itself: perturbations of the size of one rounding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.plan.randomness import generator


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
