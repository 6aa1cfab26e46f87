"""The probes tell number formats apart; here NumPy plays a machine that has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.backends.probes import (
    BFLOAT16_BITS,
    FLOAT32_ERROR,
    FLOAT64_ERROR,
    TF32_BITS,
    WIDE_ERROR,
    Probe,
    classify,
    convolution_probe,
    matmul_probe,
    precision_of,
    rounded,
)

Rounding = Callable[[np.ndarray], np.ndarray]
PROBES = {"matmul": matmul_probe, "convolution": convolution_probe}


def truncated(array: np.ndarray) -> np.ndarray:
    """The last 13 bits of float32 cut off, as some tensor cores read tf32."""
    return (np.ascontiguousarray(array, np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def float16(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


FORMATS: dict[str, tuple[str, Rounding, Rounding]] = {
    # name: the class, what happens to an operand, what happens to a result
    "float32": ("float32", np.float32, np.float32),
    "tf32": ("tf32", lambda array: rounded(array, TF32_BITS), np.float32),
    "tf32, truncated": ("tf32", truncated, np.float32),
    "bfloat16": ("bfloat16", lambda array: rounded(array, BFLOAT16_BITS), np.float32),
    "bfloat16 results": ("bfloat16", lambda array: rounded(array, BFLOAT16_BITS),
                         lambda array: rounded(array, BFLOAT16_BITS)),
    "float16": ("float16", float16, np.float32),
    "float16 results": ("float16", float16, float16),
}


def product(probe: Probe, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """In the precision of the operands."""
    if first.ndim == 2:
        return first @ second
    windows = np.lib.stride_tricks.sliding_window_view(first, (3, 3), axis=(1, 2))
    return np.tensordot(windows, second, axes=([4, 5, 3], [0, 1, 2]))


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("number_format", FORMATS)
def test_classes(name: str, number_format: str) -> None:
    probe = PROBES[name]("float32")
    expected, operand, result = FORMATS[number_format]
    with np.errstate(invalid="ignore", over="ignore"):
        found = result(product(probe, operand(probe.first), operand(probe.second)))
    errors = probe.errors(found)
    assert classify(errors) == expected
    # Every limit is ten times away, so that no rounding of another order crosses it.
    for error, limit in ((errors.full, FLOAT32_ERROR), (errors.short, FLOAT32_ERROR), (errors.full, FLOAT64_ERROR)):
        assert error > 9.9 * limit or 9.9 * error < limit
    assert errors.wide == np.inf or 9.9 * errors.wide < WIDE_ERROR


@pytest.mark.parametrize("name", PROBES)
def test_float64(name: str) -> None:
    probe = PROBES[name]("float64")
    assert classify(probe.errors(product(probe, probe.first, probe.second))) == "float64"
    single = product(probe, probe.first.astype(np.float32), probe.second.astype(np.float32))
    assert classify(probe.errors(single)) == "float32"


def test_the_truth_of_the_convolution() -> None:
    probe = convolution_probe("float32")
    first, second = probe.first.astype(np.float64), probe.second.astype(np.float64)
    assert probe.truth.shape == (6, 14, 14, 64)
    for image, row, column, filter_ in ((0, 0, 0, 0), (3, 5, 13, 63), (5, 13, 2, 17)):
        expected = (first[image, row : row + 3, column : column + 3] * second[..., filter_]).sum()
        assert probe.truth[image, row, column, filter_] == pytest.approx(expected, rel=1e-12)


def test_rounded_keeps_so_many_bits() -> None:
    values = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(rounded(values, 11), values.astype(np.float16).astype(np.float32))
    ties = np.float32([1 + 2**-8, 1 + 3 * 2**-8, -(1 + 2**-8), 0.0])  # between two numbers of 8 bits
    np.testing.assert_array_equal(rounded(ties, 8), np.float32([1, 1 + 2**-6, -1, 0]))
    assert rounded(values, 24).dtype == np.float32
    np.testing.assert_array_equal(rounded(values, 24), values)


def test_an_error_that_is_not_a_number_is_none() -> None:
    found = precision_of(lambda first, second: np.full((96, 128), np.nan), lambda x, kernel: product(None, x, kernel),
                         "float32")
    assert (found["matmul"], found["matmul_error"]) == ("float16", None)
    assert found["convolution"] == "float32"
    assert 0 < found["convolution_error"] < 1e-6
