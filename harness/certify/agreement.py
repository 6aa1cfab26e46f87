"""How far two traces of one model are apart, call by call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.spec.model import ModelSpec, Node

Arrays = Mapping[str, np.ndarray]
# What is compared of a call, and how the names of its arrays begin.
KINDS = {"inference": "inference ", "training": "training ", "gradient": "gradient ",
         "weight_gradient": "weight gradient ", "state": "weight after "}
# A value below this part of the largest of its kind counts as that part: a gradient that is zero but for rounding
# (of a bias before a batch normalization) has no relative difference. By the bytes of a number.
FLOORS = {8: 1e-6, 4: 1e-3}
# The same of a whole step, whose rounding adds up over all of its calls.
STEP_FLOORS = {8: 1e-4, 4: 1e-2}


@dataclass(frozen=True)
class CallDifference:
    """One call. differences: kind -> the largest difference, relative to the largest value of the array; None where
    the call has nothing of that kind (no weights, no state, whole numbers)."""

    call: str
    layer_type: str
    output_shape: tuple[int | None, ...]
    differences: dict[str, float | None]

    @property
    def largest(self) -> float:
        return max((value for value in self.differences.values() if value is not None), default=0.0)


def call_differences(spec: ModelSpec, ours: Arrays, theirs: Arrays) -> tuple[CallDifference, ...]:
    """One row per call, in the spec's order. ours, theirs: what `Backend.trace` gave."""
    floors = {kind: _floor(theirs, prefix) for kind, prefix in KINDS.items()}
    first = spec.first_calls
    rows = []
    for node in spec.nodes:
        layer = spec.layers[node.layer]
        of_layer = [f"{node.layer}/{weight.role}" for weight in spec.layer_weights(node.layer)] \
            if first[node.layer] is node else []
        tensors = _tensors(spec, node)
        names = {"inference": tensors, "training": tensors, "gradient": tensors,
                 "weight_gradient": of_layer, "state": of_layer}
        rows.append(CallDifference(
            node.name, layer.canonical_name(), spec.tensors[node.name],
            {kind: _difference([KINDS[kind] + name for name in names[kind]], ours, theirs, floors[kind])
             for kind in KINDS}))
    return tuple(rows)


def array_difference(ours: np.ndarray, theirs: np.ndarray, floor: float = 0.0) -> float:
    """max |ours - theirs| / max |theirs|; infinite where the shapes differ or only one of them is finite."""
    if ours.shape != theirs.shape:
        return float("inf")
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if not a.size:
        return 0.0
    unlike = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not unlike.any():
        return 0.0
    if not (np.isfinite(a[unlike]).all() and np.isfinite(b[unlike]).all()):
        return float("inf")
    scale = max(float(np.max(np.abs(b), where=np.isfinite(b), initial=0.0)), floor, np.finfo(np.float64).tiny)
    return float(np.max(np.abs(a[unlike] - b[unlike]))) / scale


def kind_of(name: str) -> str:
    """What an array of a trace is: "weight gradient", "slot m", "change"; its own name is left out."""
    first = name.split(" ", 1)[0]
    if first in ("slot", "input", "loss") or name.startswith("weight gradient "):
        return " ".join(name.split(" ")[:2])
    return first


def floors_of(arrays: Arrays) -> dict[str, float]:
    """Array -> what its differences are at least measured by: a small part of the largest number of its kind."""
    largest: dict[str, float] = {}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and array.size:
            here = float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))
            largest[kind_of(name)] = max(largest.get(kind_of(name), 0.0), here * STEP_FLOORS.get(array.itemsize, 1e-1))
    return {name: largest.get(kind_of(name), 0.0) for name in arrays}


def _tensors(spec: ModelSpec, node: Node) -> list[str]:
    numbered = (f"{node.name}:{index}" for index in range(1, len(spec.tensors)))
    names = [node.name]
    for name in numbered:
        if name not in spec.tensors:
            break
        names.append(name)
    return names


def _difference(names: Iterable[str], ours: Arrays, theirs: Arrays, floor: float) -> float | None:
    present = [name for name in names if name in ours or name in theirs]
    if not present:
        return None
    if any(name not in ours or name not in theirs for name in present):
        return float("inf")
    return max(array_difference(ours[name], theirs[name], floor) for name in present)


def _floor(arrays: Arrays, prefix: str) -> float:
    floats = [array for name, array in arrays.items() if name.startswith(prefix) and array.dtype.kind == "f"]
    largest = max((float(np.max(np.abs(x), where=np.isfinite(x), initial=0.0)) for x in floats), default=0.0)
    return largest * max((FLOORS.get(array.itemsize, 1e-1) for array in floats), default=0.0)
