"""One layer, both frameworks, the same numbers: what a case is, and the arrays that both sides are fed.

Framework-free. `run_tensorflow.py` and `run_pytorch.py` play the same cases in a process each; `test_layers.py`
compares what they hand back. Everything is float64.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness import Input, Model, layers
from harness.spec.layers import families
from harness.spec.layers.base import Layer
from harness.spec.layers.states import flat
from harness.spec.model import ModelSpec, NamedWeight

BATCH = 4
TOLERANCE = 1e-10
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fed:
    """An argument of a call that is the input of that index, instead of a tensor the layer is called on."""

    index: int


@dataclass(frozen=True)
class Case:
    """One configuration of one layer, fed and differentiated in both frameworks.

    layer: makes the spec layer from the namespace `harness.layers`. inputs: shapes without the batch.
    kinds: of each input, how it is filled (`fill`); "normal" where not given.
    masked: which inputs carry a mask: they pass a Masking layer, and some of their steps are 0.
    arguments: of the call; an input among them is a `Fed`. certified: TensorFlow's side as in certified training
    (random numbers from the tape, exact layers) instead of stock.
    tolerance, reason: how near, relative to the largest value, and why not 1e-10. batch: examples.
    """

    name: str
    layer: Callable[[Any], Layer]
    inputs: tuple[tuple[int | None, ...], ...]
    kinds: tuple[str, ...] = ()
    masked: tuple[bool, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    certified: bool = False
    tolerance: float = TOLERANCE
    reason: str = ""
    batch: int = BATCH

    def __post_init__(self) -> None:
        assert self.tolerance <= TOLERANCE or self.reason, f"{self.name}: a wider tolerance needs a reason"

    def kind(self, index: int) -> str:
        return self.kinds[index] if index < len(self.kinds) else "normal"

    def is_masked(self, index: int) -> bool:
        return index < len(self.masked) and self.masked[index]

    def spec(self) -> ModelSpec:
        """The layer as a model: its outputs, and, where a mask may come out, the masked mean of the first."""
        dtypes = {"ids": "int32", "mask": "bool", "pixels": "uint8"}
        inputs = [Input(shape, name=f"input_{index}", dtype=dtypes.get(self.kind(index)))
                  for index, shape in enumerate(self.inputs)]
        feeds = [layers.Masking(name=f"masking_{index}")(tensor) if self.is_masked(index) else tensor
                 for index, tensor in enumerate(inputs)]
        every, layer, arguments = feeds, self.layer(layers), _fed(dict(self.arguments), feeds)
        among_arguments = {item.index for value in self.arguments.values() for item in _feds(value)}
        feeds = [tensor for index, tensor in enumerate(feeds) if index not in among_arguments]
        result = layer(*feeds, **arguments) if layer.call_arguments else layer(feeds, **arguments)
        outputs = flat(result)  # of recurrent cells, the states are in lists
        if (any(self.masked) or "ids" in self.kinds) and len(outputs[0].shape) == 3:
            # Differs from the plain mean if and only if the mask came through.
            outputs.append(layers.GlobalAveragePooling1D(name="seen_mask")(outputs[0]))
            # Whether the masked inputs still carry their masks when the layer is done with them.
            outputs += [layers.GlobalAveragePooling1D(name=f"left_mask_{index}")(tensor)
                        for index, tensor in enumerate(every) if self.is_masked(index) and len(tensor.shape) == 3]
        return Model(inputs, outputs, name="case")

    @property
    def layer_class(self) -> type[Layer]:
        return type(self.layer(layers))


def _feds(value: Any) -> list[Fed]:
    if isinstance(value, Fed):
        return [value]
    return [item for part in value for item in _feds(part)] if isinstance(value, (list, tuple)) else []


def _fed(value: Any, feeds: list[Any]) -> Any:
    """The value with the tensor in the place of each `Fed`."""
    if isinstance(value, Fed):
        return feeds[value.index]
    if isinstance(value, dict):
        return {name: _fed(item, feeds) for name, item in value.items()}
    return [_fed(item, feeds) for item in value] if isinstance(value, (list, tuple)) else value


def all_cases() -> dict[str, Case]:
    """Every case by "family/name". (A family without a file of cases fails the test of completeness.)"""
    table: dict[str, Case] = {}
    for family in families():
        name = family.__name__.rpartition(".")[2]
        module = f"tests.conformance.cases.{name}"
        for case in importlib.import_module(module).CASES if importlib.util.find_spec(module) else ():
            key = f"{name}/{case.name}"
            assert key not in table, f"two cases are named {key}"
            table[key] = case
    return table


def generator(*purpose: str) -> np.random.Generator:
    """The same numbers in every process."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256("\0".join(purpose).encode()).digest()[:8], "little"))


def fill(case: Case, index: int, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """One input. "ties": few distinct values, exact zeros among them, as after a ReLU; "ids": 0..4; "pixels": 0..255;
    "mask": bool; "padded": of random length, the first example of length 0."""
    kind = case.kind(index)
    if kind == "ids":
        return rng.integers(0, 5, size).astype(np.int32)
    if kind == "pixels":
        return rng.integers(0, 256, size).astype(np.uint8)
    if kind == "mask":
        return np.asarray(rng.random(size) < 0.6)
    values = rng.normal(0.0, 1.5, size)
    if kind == "ties":
        values = np.maximum(np.round(values), 0.0)
    if kind == "padded":
        length = rng.integers(0, size[1] + 1, size[0])
        length[0] = 0
        return values * (np.arange(size[1]) < length[:, None])[..., None]
    if case.is_masked(index):
        keep = rng.random(size[:2]) < 0.6
        keep[:, index % size[1]] = True  # no example is masked altogether
        values = values * keep.reshape(*keep.shape, *(1,) * (len(size) - 2))
    return values


def inputs_of(key: str, case: Case) -> list[np.ndarray]:
    """The arrays that are fed. A size that the spec leaves open (None) is 6."""
    rng = generator(key, "inputs")
    return [fill(case, index, (case.batch, *(6 if size is None else size for size in shape)), rng)
            for index, shape in enumerate(case.inputs)]


def weights_of(key: str, spec: ModelSpec) -> Arrays:
    """Weights in which nothing is trivial: no zeros, no ones, variances positive."""
    rng = generator(key, "weights")
    return {weight.name: _weight(weight, rng) for weight in spec.weights}


def _weight(weight: NamedWeight, rng: np.random.Generator) -> np.ndarray:
    values = rng.normal(0.0, 0.5, weight.shape)
    return np.exp(values) if weight.role.endswith(("variance", "stddev")) else values


def cotangents(key: str, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """The gradient of the scalar that is differentiated, sum(output * cotangent), by each output."""
    rng = generator(key, "cotangents")
    return [rng.normal(size=shape) for shape in shapes]


def keys_of(key: str, calls: int) -> np.ndarray:
    """int32 [calls, 2]: the random keys of one step."""
    return generator(key, "keys").integers(-(2**31), 2**31, (calls, 2), dtype=np.int32)


def stochastic_nodes(spec: ModelSpec) -> list[str]:
    return [node.name for node in spec.nodes if spec.layers[node.layer].stochastic]
