"""Enlarging images as one matrix per axis: what TensorFlow's resize kernels compute, in float64.

The kernels themselves work in float32 whatever the data's type; with these matrices both frameworks can
enlarge in float64 and agree.
"""

from __future__ import annotations

import numpy as np

# tensorflow/core/kernels/image/resize_bicubic_op.cc looks its coefficients up at this many phases.
PHASES = 1024


def matrix(method: str, size: int, factor: int) -> np.ndarray:
    """float64 [size * factor, size]: rows of weights. method: "bilinear" or "bicubic", half-pixel centers."""
    place = (np.arange(size * factor) + 0.5) / factor - 0.5
    below = np.floor(place).astype(int)
    fraction = place - below
    weights = np.zeros((size * factor, size))
    rows = np.arange(size * factor)
    if method == "bilinear":
        for offset, weight in ((0, 1 - fraction), (1, fraction)):
            np.add.at(weights, (rows, np.clip(below + offset, 0, size - 1)), weight)
        return weights
    fraction = np.rint(fraction * PHASES) / PHASES
    for offset in (-1, 0, 1, 2):
        inside = (below + offset >= 0) & (below + offset < size)
        # Taps beyond the border are dropped, and the others scaled up.
        np.add.at(weights, (rows[inside], (below + offset)[inside]), _keys(np.abs(fraction - offset))[inside])
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _keys(distance: np.ndarray) -> np.ndarray:
    """Keys's cubic convolution kernel with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.asarray(np.where(distance <= 1, near, np.where(distance < 2, far, 0.0)))
