"""The first steps of fine-tuning a real encoder of 22.7 million parameters are the same in both frameworks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.exchange.pretrained.models import from_pretrained
from tests.exchange.pretrained.cases import MINILM
from tests.forked import run_module


@pytest.mark.frameworks
@pytest.mark.sweep
def test_both_frameworks_take_the_same_steps(tmp_path: Path) -> None:
    found = {}
    for backend in ("tensorflow", "pytorch"):
        run_module(backend, "tests.exchange.pretrained.fine_tune", backend, tmp_path)
        found[backend] = dict(np.load(tmp_path / f"{backend}.npz"))
    one, other = found["tensorflow"], found["pytorch"]
    assert set(one) == set(other)
    assert one["losses"].shape == (2,)
    worst = {name: float(np.abs(array - other[name]).max()) for name, array in one.items()}
    assert max(worst.values()) < 1e-9, sorted(worst.items(), key=lambda item: -item[1])[:5]
    # It was trained, and from the file's weights: every layer has moved, none far.
    _, first = from_pretrained(MINILM, new=["predictions"], input_shape=(12,), head="classification", num_classes=3,
                               inputs=("input_ids", "attention_mask"))
    moved = {name: float(np.abs(one[name] - array).max()) for name, array in first.items()}
    assert all(0 < value < 0.1 for value in moved.values()), moved
