"""What the tests of harness.keras share: their own folder, precision and seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.keras import state
from harness.runner.workers import close_workers

EXAMPLES, FEATURES, CLASSES = 64, 6, 3


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A script that begins: results of its own, float64, seed 0, no compiler, and nobody to wait for."""
    monkeypatch.setenv(state.RESULTS, str(tmp_path / "results"))
    monkeypatch.setenv(state.OVERRIDES, "execution.compile=none execution.device=cpu")
    monkeypatch.setattr("harness.keras.fitting.machine_lock_path", lambda: tmp_path / "lock")
    monkeypatch.setattr(state.STATE, "precision", "float64")
    state.set_random_seed(0)
    yield
    close_workers()  # as at the end of a script: the next test, of keras or not, takes their servers


@pytest.fixture(scope="session")
def data() -> tuple[np.ndarray, np.ndarray]:
    """x float64 [64, 6], y int [64] of 3 classes that can be learned."""
    generator = np.random.default_rng(7)
    x = generator.normal(size=(EXAMPLES, FEATURES))
    return x, (x @ generator.normal(size=(FEATURES, CLASSES))).argmax(1)
