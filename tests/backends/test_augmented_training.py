"""Trainings whose models augment their images go alike in both frameworks: the random numbers are the tape's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.forked import run_source

PROGRAM = """
import sys
import numpy as np, harness
from harness import Sequential, layers
model = Sequential([
    layers.RandomFlip(input_shape=(8, 8, 3)), layers.RandomCrop(7, 6), layers.RandomTranslation(0.2, 0.2),
    layers.RandomRotation(0.1), layers.RandomZoom(0.2), layers.RandomContrast(0.3, (0, 1)),
    layers.RandomBrightness(0.2, (0, 1)), layers.RandomErasing(0.5, value_range=(0, 1)), layers.MixUp(),
    layers.Resizing(5, 5, "bicubic"), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(),
    layers.Dropout(0.3), layers.Dense(3, activation="softmax"),
])
rng = np.random.default_rng(0)
data = (rng.random((24, 8, 8, 3)), rng.integers(0, 3, 24))
recipe = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam", "epochs": 3, "batch_size": 8}
run = harness.train(model, recipe, data, backend=sys.argv[1], dtype=sys.argv[2])
np.savetxt(sys.argv[3], run.losses, fmt="%.17g")
"""


@pytest.mark.frameworks
def test_augmented_trainings_go_alike(tmp_path: Path) -> None:
    losses = {}
    for backend in ("tensorflow", "pytorch"):
        run_source(backend, PROGRAM, backend, "float64", tmp_path / backend)
        losses[backend] = np.loadtxt(tmp_path / backend)
    assert losses["pytorch"].shape == (9,)
    # The kernel that warps images computes in float32 in both.
    np.testing.assert_allclose(losses["pytorch"], losses["tensorflow"], rtol=1e-6)
