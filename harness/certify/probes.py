"""What a model is fed when two backends are compared: inputs, weights of the scalar that is differentiated, keys.

Everything is drawn in NumPy from names and a seed: two processes that never meet draw the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.errors import SpecError
from harness.plan.randomness import generator
from harness.spec.layers.core import Embedding
from harness.spec.model import InputSpec, ModelSpec

# A dimension that the spec leaves open.
OPEN_SIZE = 32
# Larger tensors are compared in this many of their elements.
SAMPLE = 65_536
# Ids are drawn below this where no Embedding says how many there are.
IDS = 8


@dataclass(frozen=True)
class Probe:
    """seed: of all that is drawn. batch: examples. size: what an open dimension (None) becomes."""

    seed: int = 0
    batch: int = 2
    size: int = OPEN_SIZE

    def inputs(self, spec: ModelSpec) -> dict[str, np.ndarray]:
        """One array per input: standard normal numbers, ids that every Embedding has, booleans."""
        return {item.name: self._input(spec, item) for item in spec.inputs}

    def _input(self, spec: ModelSpec, item: InputSpec) -> np.ndarray:
        if item.dtype == "string":
            raise SpecError(f"the input {item.name!r} takes text: there are no generated inputs for it.",
                            where=f"model {spec.name!r}")
        rng = generator(self.seed, "probe", item.name)
        # A size of the batch that the spec fixes stays.
        shape = (item.shape[0] or self.batch, *(self.size if size is None else size for size in item.shape[1:]))
        if item.dtype == "bool":
            return np.asarray(rng.random(shape) < 0.5)
        rows = [layer.input_dim for node in spec.nodes if item.name in node.inputs
                if isinstance(layer := spec.layers[node.layer], Embedding)]
        if rows or not item.dtype.startswith("float"):
            return rng.integers(0, min(rows, default=IDS), shape).astype("int32" if rows else item.dtype)
        return rng.standard_normal(shape)

    def cotangent(self, output: str, shape: tuple[int, ...]) -> np.ndarray:
        """The gradient by an output of the scalar that is differentiated: sum(output * cotangent)."""
        return generator(self.seed, "cotangent", output).standard_normal(shape)

    def keys(self, calls: int) -> np.ndarray:
        """int32 [calls, 2]: the random keys of one training step."""
        return generator(self.seed, "probe keys").integers(-(2**31), 2**31, (calls, 2), dtype=np.int32)

    def sample(self, name: str, array: np.ndarray) -> np.ndarray:
        """The array, or as many of its elements as are kept: the same ones of the same name everywhere."""
        if array.size <= SAMPLE:
            return array
        chosen = generator(self.seed, "sample", name).choice(array.size, SAMPLE, replace=False, shuffle=False)
        return array.reshape(-1)[np.sort(chosen)]


def every_tensor(spec: ModelSpec) -> tuple[str, ...]:
    """The references of all tensors that a call of a layer makes."""
    inputs = {item.name for item in spec.inputs}
    return tuple(reference for reference in spec.tensors if reference not in inputs)
