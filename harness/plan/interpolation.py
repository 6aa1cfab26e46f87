"""Enlarging images as one matrix per axis: what TensorFlow's resize kernels compute, in float64.

The kernels themselves work in float32 whatever the data's type; with these matrices both frameworks can
enlarge in float64 and agree.
"""

from __future__ import annotations

from collections.abc import Callable

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


def resize_matrix(method: str, size: int, target: int, antialias: bool = False) -> np.ndarray:
    """float64 [target, size]: what `tf.image.resize` does to one axis.

    method: "nearest", "bilinear", "bicubic", "area", "lanczos3" or "lanczos5", half-pixel centers. antialias: widens
    the kernel where the axis shrinks; "nearest" and "area" know no antialias.
    """
    if size == target:
        return np.eye(size)
    if method in ("nearest", "area"):
        return _nearest(size, target) if method == "nearest" else _area(size, target)
    if antialias or method.startswith("lanczos"):
        return _spans(method, size, target, antialias)
    # The kernels compute places in float32 (resize_bilinear_op.cc, resize_bicubic_op.cc), which decides on the phase
    # of bicubic weights.
    scale = np.float32(size) / np.float32(target)
    single = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    below = np.floor(single).astype(int)
    weights, rows = np.zeros((target, size)), np.arange(target)
    if method == "bilinear":
        fraction = (np.arange(target) + 0.5) * (size / target) - 0.5 - below
        for offset, weight in ((0, 1 - fraction), (1, fraction)):
            np.add.at(weights, (rows, np.clip(below + offset, 0, size - 1)), weight)
        return weights
    fraction = np.rint((single - below.astype(np.float32)) * np.float32(PHASES)).astype(float) / PHASES
    for offset in (-1, 0, 1, 2):
        inside = (below + offset >= 0) & (below + offset < size)
        np.add.at(weights, (rows[inside], (below + offset)[inside]), _keys(np.abs(fraction - offset))[inside])
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _nearest(size: int, target: int) -> np.ndarray:
    scale = np.float32(size) / np.float32(target)
    place = np.floor((np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale).astype(int)
    return np.asarray(np.eye(size)[np.minimum(place, size - 1)])


def _area(size: int, target: int) -> np.ndarray:
    """The share of each pixel in [row * scale, (row + 1) * scale)."""
    edges = np.arange(target + 1) * (size / target)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(overlap, 0.0) / (size / target))


def _spans(method: str, size: int, target: int, antialias: bool) -> np.ndarray:
    """tensorflow/core/kernels/image/scale_and_translate_op.cc: ComputeSpansCore."""
    kernel, radius = _KERNELS[method]
    scale = size / target
    stretch = max(scale, 1.0) if antialias else 1.0
    place = (np.arange(target) + 0.5) * scale
    first = np.clip(np.ceil(place - radius * stretch - 0.5), 0, size - 1)
    last = np.clip(np.floor(place + radius * stretch - 0.5), 0, size - 1)
    pixels = np.arange(size)
    weights = kernel(np.abs(pixels + 0.5 - place[:, None]) / stretch)
    weights[(pixels < first[:, None]) | (pixels > last[:, None])] = 0.0
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - distance)


def _lanczos(radius: float) -> Callable[[np.ndarray], np.ndarray]:
    def kernel(distance: np.ndarray) -> np.ndarray:
        place = np.maximum(distance, 1e-3)
        wave = radius * np.sin(np.pi * place) * np.sin(np.pi * place / radius) / (np.pi * place) ** 2
        return np.asarray(np.where(distance > radius, 0.0, np.where(distance <= 1e-3, 1.0, wave)))

    return kernel


# Kernel of a distance in pixels, and how far it reaches.
_KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "bilinear": (_triangle, 1.0), "bicubic": (_keys, 2.0),
    "lanczos3": (_lanczos(3.0), 3.0), "lanczos5": (_lanczos(5.0), 5.0),
}


def crop_box(height: int, width: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the largest window with the aspect ratio of `size`, in the middle
    (keras/src/backend/tensorflow/image.py: resize, whose quotients are float32)."""
    tall = max(min(height, _quotient(width * size[0], size[1])), 1)
    wide = max(min(width, _quotient(height * size[1], size[0])), 1)
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def pad_margins(height: int, width: int, size: tuple[int, int]) -> tuple[int, int]:
    """(rows above and below, columns left and right) that give an image the aspect ratio of `size`, likewise."""
    tall, wide = _quotient(width * size[0], size[1]), _quotient(height * size[1], size[0])
    return max(tall - height, 0) // 2, max(wide - width, 0) // 2


def _quotient(product: int, divisor: int) -> int:
    return int(np.float32(product) / np.float32(divisor))
