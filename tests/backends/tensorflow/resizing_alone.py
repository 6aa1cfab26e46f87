"""Stock keras.layers.Resizing in float32, for test_resizing.py: writes an image and what became of it."""

from __future__ import annotations

import sys

import keras
import numpy as np

from tests.backends.tensorflow.resizing_cases import CASES, image


def main(path: str) -> None:
    arrays = {}
    for name, arguments in CASES.items():
        arrays[name] = np.asarray(keras.layers.Resizing(**arguments)(image()))
    np.savez(path, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
