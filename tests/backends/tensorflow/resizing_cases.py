"""Configurations of Resizing for test_resizing.py. Framework-free."""

import numpy as np

METHODS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area")
SIZES = ((5, 9), (20, 4), (7, 30), (26, 22), (1, 1), (10, 33))
CASES = {
    f"{method} {height}x{width}{' with antialias' * antialias}":
        {"height": height, "width": width, "interpolation": method, "antialias": antialias}
    for method in METHODS for height, width in SIZES for antialias in (False, True)
}


def image() -> np.ndarray:
    """float32 [1, 13, 11, 2], values of pixels."""
    return np.random.default_rng(0).uniform(0, 255, (1, 13, 11, 2)).astype(np.float32)
