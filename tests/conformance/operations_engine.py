"""One operation of keras.ops, both frameworks, the same numbers: what a case is, and the arrays that are fed.

Framework-free. `run_operations_tensorflow.py` and `run_operations_pytorch.py` play the cases in a process each, in
float64; `test_operations.py` compares what they hand back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import Input, Model, ops
from harness.spec.model import ModelSpec
from harness.spec.operations.base import Operation
from tests.conformance.engine import BATCH, TOLERANCE, generator

DTYPES = {"numbers": "int32", "places": "int32", "flags": "bool", "pixels": "uint8", "bytes": "int8", "long": "int64"}


@dataclass(frozen=True)
class OperationCase:
    """One call. call: makes the outputs from `harness.ops` and the inputs' symbolic tensors. inputs: shapes without the
    batch. kinds: of each input, how it is filled (`fill`), "normal" where not given. gradient: whether it is compared.
    tolerance, reason: how near, relative to the largest value, and why not 1e-10."""

    name: str
    call: Callable[..., Any]
    inputs: tuple[tuple[int | None, ...], ...] = ((4, 6),)
    kinds: tuple[str, ...] = ()
    gradient: bool = True
    tolerance: float = TOLERANCE
    reason: str = ""
    batch: int = BATCH

    def __post_init__(self) -> None:
        assert self.tolerance <= TOLERANCE or self.reason, f"{self.name}: a wider tolerance needs a reason"

    def kind(self, index: int) -> str:
        return self.kinds[index] if index < len(self.kinds) else self.kinds[0] if len(self.kinds) == 1 else "normal"

    def spec(self) -> ModelSpec:
        tensors = [Input(shape, name=f"input_{index}", dtype=DTYPES.get(self.kind(index)))
                   for index, shape in enumerate(self.inputs)]
        result = self.call(ops, *tensors)
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        return Model(tensors, outputs, name="case")

    def arrays(self) -> list[np.ndarray]:
        """What is fed. A size that the spec leaves open (None) is 5."""
        rng = generator(self.name, "operation")
        return [fill(self.kind(index), (self.batch, *(5 if size is None else size for size in shape)), rng)
                for index, shape in enumerate(self.inputs)]

    def operations(self) -> list[Operation]:
        return [layer for layer in self.spec().layers.values() if isinstance(layer, Operation)]


def fill(kind: str, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """"positive"; "unit": between -0.9 and 0.9; "above": over 1; "ties": few values, zeros among them; "numbers":
    whole from -9 to 9; "places": 0 to 3; "flags": truths; "pixels": 0 to 255; "missing": NaN among them; "endless":
    infinities and NaN; "definite": positive definite matrices; "shares": of a whole along the last axis."""
    if kind in ("numbers", "bytes", "long"):
        return rng.integers(-9, 10, size).astype(DTYPES[kind])
    if kind == "places":
        return rng.integers(0, 4, size).astype(np.int32)
    if kind == "flags":
        return np.asarray(rng.random(size) < 0.6)
    if kind == "pixels":
        return rng.integers(0, 256, size).astype(np.uint8)
    values = rng.normal(0.0, 1.5, size)
    if kind == "positive":
        return np.exp(0.5 * values)
    if kind == "unit":
        return 0.9 * np.tanh(values)
    if kind == "above":
        return 1.0 + np.exp(0.5 * values)
    if kind == "ties":
        return np.round(values)
    if kind in ("missing", "endless"):
        values = np.where(rng.random(size) < 0.25, np.nan, values)
        return np.where(rng.random(size) < 0.3, np.copysign(np.inf, values), values) if kind == "endless" else values
    if kind == "definite":
        return values @ np.swapaxes(values, -1, -2) + 3.0 * np.eye(size[-1])
    if kind == "triangle":
        return np.tril(values) + 3.0 * np.eye(size[-1])
    if kind == "shares":
        return np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    return values


STEPS, IMAGE, TWO = ((4, 6),), ((6, 5, 3),), ((4, 6), (4, 6))


def of(function, *args, **kwargs):
    """The call of a function with the tensors first."""
    def call(ops, *tensors):
        target = ops
        for part in function.split("."):
            target = getattr(target, part)
        return target(*tensors, *args, **kwargs)

    return call


def listed(function, **kwargs):
    """The call with the tensors in a list."""
    return lambda ops, *tensors: getattr(ops, function)(list(tensors), **kwargs)


def unary(names, kind="normal", **options):
    return tuple(OperationCase(f"{name} {kind}" if kind != "normal" else name, of(name), STEPS, (kind,), **options)
                 for name in names.split())


def varied(function, *configurations, inputs=STEPS, kinds=(), **options):
    """One case per dictionary of arguments."""
    place = "" if inputs == STEPS else f" of {inputs[0]}"
    return tuple(OperationCase(f"{function} {configuration or 'plain'} {kinds or ''}{place}".strip(),
                               of(function, **configuration), inputs, kinds, **options)
                 for configuration in configurations)


def with_constants(names, constants, kind="normal", **options):
    """f(x, c) and f(c, x)."""
    def call(name, constant, first):
        return lambda ops, x: getattr(ops, name)(*((constant, x) if first else (x, constant)))

    return tuple(OperationCase(f"{name} {'of' if first else 'with'} {constant!r}, {kind}", call(name, constant, first),
                               STEPS, (kind,), **options)
                 for name in names.split() for constant in constants for first in (False, True))


def binary(names, kinds=(), inputs=TWO, **options):
    place = "" if inputs == TWO else f" of {inputs}"
    return tuple(OperationCase(f"{name} of two {kinds or ''}{place}".strip(), of(name), inputs, kinds, **options)
                 for name in names.split())
