"""Which number format a product is really computed in: its error against float64 says it.

One matrix product and one convolution, whose rows (or images) come in three kinds:

- "full": as many significant bits as the dtype has. Its error is 1e-7 in float32 and 2e-4 or more in anything less.
- "short": 11 significant bits, as many as tf32 and float16 keep. Exact in both; 1e-3 in bfloat16 (8 bits).
- "wide": beyond the largest number of float16 (65504): infinite there, nothing special with the 8 bits of exponent
  of tf32 and bfloat16.

The second operand has 8 significant bits and is exact in all of them, so that nothing but the first one is rounded.
Nothing here knows a framework.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from harness.spec.execution import Execution
from harness.spec.model import ModelSpec

# Significant bits, the leading one counted.
TF32_BITS, BFLOAT16_BITS = 11, 8
# float64 gives 2e-16, float32 1e-7 to 1e-6 (Winograd's convolutions); tf32 2e-4: each limit is a factor of 10 away.
FLOAT64_ERROR, FLOAT32_ERROR = 1e-12, 2e-5
WIDE_ERROR = 0.1
CLASSES = ("float64", "float32", "tf32", "bfloat16", "float16")


@dataclass(frozen=True)
class Errors:
    """The relative error (Frobenius norm) of the rows of each kind; inf where a result is not finite."""

    full: float
    short: float
    wide: float


def classify(errors: Errors) -> str:
    """The number format that makes such errors, one of CLASSES."""
    if errors.full < FLOAT64_ERROR:
        return "float64"
    if errors.full < FLOAT32_ERROR:
        return "float32"
    if errors.wide > WIDE_ERROR:
        return "float16"
    return "tf32" if errors.short < FLOAT32_ERROR else "bfloat16"


def rounded(array: np.ndarray, bits: int) -> np.ndarray:
    """The array with that many significant bits, to nearest, ties to even; its dtype is kept."""
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits).astype(array.dtype)


@dataclass(frozen=True)
class Probe:
    """first, second: the operands. truth: their product in float64. A third of the first axis is of each kind."""

    first: np.ndarray
    second: np.ndarray
    truth: np.ndarray

    def errors(self, found: np.ndarray) -> Errors:
        """Of a product [as truth] that a framework gave."""
        kinds = zip(np.split(np.asarray(found, np.float64), 3), np.split(self.truth, 3), strict=True)
        return Errors(*(_error(part, truth) for part, truth in kinds))


@lru_cache
def matmul_probe(dtype: str) -> Probe:
    """first [96, 256], second [256, 128]."""
    first, second = _operands((96, 256), (256, 128), dtype)
    return Probe(first, second, first.astype(np.float64) @ second.astype(np.float64))


@lru_cache
def convolution_probe(dtype: str) -> Probe:
    """Images [6, 16, 16, 32], kernel [3, 3, 32, 64], in Keras's layout; "valid" padding, stride 1."""
    images, kernel = _operands((6, 16, 16, 32), (3, 3, 32, 64), dtype)
    windows = np.lib.stride_tricks.sliding_window_view(images.astype(np.float64), (3, 3), axis=(1, 2))
    return Probe(images, kernel, np.tensordot(windows, kernel.astype(np.float64), axes=([4, 5, 3], [0, 1, 2])))


Product = Callable[[np.ndarray, np.ndarray], np.ndarray]


def precision_of(matmul: Product, convolution: Product, dtype: str) -> dict[str, Any]:
    """What a framework's products are computed in: {"matmul", "matmul_error", "convolution", "convolution_error"}.

    Each is called with the operands of its probe, in dtype. An error that is not finite is None.
    """
    found: dict[str, Any] = {}
    for name, product, probe in (
        ("matmul", matmul, matmul_probe(dtype)), ("convolution", convolution, convolution_probe(dtype)),
    ):
        errors = probe.errors(product(probe.first, probe.second))
        found[name] = classify(errors)
        found[f"{name}_error"] = errors.full if np.isfinite(errors.full) else None
    return found


def probed_layer(kind: str, first: tuple[int, ...], second: tuple[int, ...]) -> ModelSpec:
    """A model of one layer whose output is the product of its input [first] and its kernel [second]; the layer bears
    the name of the kind, "matmul" or "convolution"."""
    from harness.spec import layers
    from harness.spec.notation import Input, Model

    x = Input(first[1:], name="x")
    layer = layers.Dense(second[1], use_bias=False, name=kind) if kind == "matmul" else layers.Conv2D(
        second[3], second[:2], use_bias=False, name=kind)
    return Model(x, layer(x), name="probe")


# Features of the probe of what is computed again.
PROBED = 4


def probed_activation() -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """A model of one layer with an activation, which has something to keep for the backward pass, and its weights."""
    from harness.spec import layers
    from harness.spec.notation import Input, Model

    x = Input((PROBED,), name="x")
    spec = Model(x, layers.Dense(PROBED, activation="tanh", name="probed")(x), name="probe")
    return spec, {"probed/kernel": np.eye(PROBED), "probed/bias": np.zeros(PROBED)}


def as_probed(execution: Execution) -> Execution:
    """The execution for that model: what is computed again by the same means, of whatever layers."""
    return Execution(remat="activations" if execution.remat == "activations" else execution.remat and "full")


def _operands(first: tuple[int, ...], second: tuple[int, ...], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    full, short, wide = np.split(draw.standard_normal(first).astype(dtype), 3)
    other = rounded(draw.standard_normal(second), BFLOAT16_BITS)
    wide = np.ldexp(wide, 20)
    return np.concatenate([full, rounded(short, TF32_BITS), wide]).astype(dtype), other.astype(dtype)


def _error(found: np.ndarray, truth: np.ndarray) -> float:
    if not np.isfinite(found).all():
        return float("inf")
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))
