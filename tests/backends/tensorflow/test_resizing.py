"""The matrices of plan/interpolation.py do what TensorFlow's kernels do in float32, and torch's are the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.plan.interpolation import resize_matrix
from tests.backends.tensorflow.resizing_cases import CASES, METHODS, image
from tests.forked import run_module, run_source

TORCH = """
import sys, numpy as np
from harness.backends.pytorch.layers.preprocessing_images import resize_matrix
from tests.backends.tensorflow.test_resizing import AXES
np.savez(sys.argv[1], **{str(axis): resize_matrix(*axis).numpy() for axis in AXES})
"""
AXES = [(method, size, target, antialias) for method in METHODS for size in (1, 7, 12) for target in (1, 5, 12, 29)
        for antialias in (False, True)]


def arrays_of(tmp_path: Path) -> dict[str, np.ndarray]:
    with np.load(tmp_path / "arrays.npz") as arrays:
        return dict(arrays)


@pytest.mark.frameworks
def test_matrices_do_what_the_kernels_do(tmp_path: Path) -> None:
    run_module("tensorflow", "tests.backends.tensorflow.resizing_alone", tmp_path / "arrays.npz")
    stock = arrays_of(tmp_path)
    x = image().astype(np.float64)
    for name, arguments in CASES.items():
        rows, columns = (
            resize_matrix(arguments["interpolation"], size, arguments[side], arguments["antialias"])
            for side, size in zip(("height", "width"), x.shape[1:3], strict=True))
        ours = np.einsum("ih,nhwc,jw->nijc", rows, x, columns)
        assert np.abs(ours - stock[name]).max() < 255 * 1e-5, name


@pytest.mark.frameworks
def test_the_matrices_in_torch_are_the_same(tmp_path: Path) -> None:
    run_source("pytorch", TORCH, tmp_path / "arrays.npz")
    found = arrays_of(tmp_path)
    for axis in AXES:
        np.testing.assert_allclose(found[str(axis)], resize_matrix(*axis), atol=1e-13, err_msg=str(axis))
