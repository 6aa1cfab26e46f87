"""Random models over the whole vocabulary, called and differentiated once in float64 by a framework's process.

    python -m tests.conformance.random_graphs <backend> <folder>

reads lines {"number": 7, "calls": 4} on standard input, builds and plays that model, leaves its arrays in
<folder>/<backend>_<number>_<calls>.npz, and answers each line with {"ending": ...}: "played", "refused: ..." or
"crash: ...". With "moved" the inputs are moved by one unit in the last place: how far that takes the results is how
far rounding may take them.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.plan.masking import check_masks
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec
from tests.conformance import engine
from tests.conformance.random_layers import Draw, embedding
from tests.conformance.random_models import Graph, _behind
from tests.conformance.random_rare_layers import OPERATIONS, PAIRED, READERS, rare

ROWS = 5  # of an embedding: as many as the engine's ids
# Kind of input -> its shape without the batch; d draws the sizes.
INPUTS: dict[str, Callable[[Draw], tuple[int, ...]]] = {
    "vector": lambda d: (d.whole(1, 6),), "ids": lambda d: (d.whole(2, 5),),
    "steps": lambda d: (d.whole(2, 5), d.whole(1, 4)), "masked": lambda d: (d.whole(2, 5), d.whole(1, 4)),
    "image": lambda d: (d.whole(3, 6), d.whole(3, 5), d.whole(1, 3)),
    "volume": lambda d: (d.whole(2, 4), d.whole(2, 4), d.whole(2, 3), d.whole(1, 2)),
}


@dataclass(frozen=True)
class RandomCase:
    """What engine.Case is to run_tensorflow.py and run_pytorch.py."""

    model: ModelSpec
    inputs: tuple[tuple[int, ...], ...]
    kinds: tuple[str, ...]
    masked: tuple[bool, ...]
    batch: int
    certified: bool = True

    def spec(self) -> ModelSpec:
        return self.model

    def kind(self, index: int) -> str:
        return self.kinds[index]

    def is_masked(self, index: int) -> bool:
        return self.masked[index]


@dataclass
class WideGraph(Graph):
    """A Graph of the whole vocabulary: rare layers, operations, and blocks of layers that are called more than once."""

    blocks: list[tuple[tuple[Layer, ...], Any]] = field(default_factory=list)

    def grow(self) -> None:
        way = self.d.rng.random()
        if way < 0.25:
            self._operate()
        elif way < 0.5:
            tensor = self.pick()
            self.add(rare(self.d, tensor.shape)(tensor))
        elif way < 0.58:
            self._read()
        elif way < 0.68:
            self._block()
        else:
            super().grow()

    def _operate(self) -> None:
        first = self.pick()
        like = [tensor for tensor in self.tensors if tensor.shape == first.shape and tensor is not first]
        if like and self.d.chance(0.5):
            self.add(PAIRED[self.d.one(PAIRED)](self.d, first, self.d.one(like)))
        else:
            self.add(OPERATIONS[self.d.one(OPERATIONS)](self.d, first))

    def _read(self) -> None:
        query, value = self.pick(3), self.pick(3)
        name = self.d.one(READERS)
        self.add(getattr(layers, name)(**READERS[name](self.d, query.shape))(
            *((query, value) if name == "GroupQueryAttention" else ([query, value],))))

    def _block(self) -> None:
        """Some layers in a row, as of a nested model, on a tensor and on a second one of the same shape."""
        like = [(block, shape) for block, shape in self.blocks if any(x.shape == shape for x in self.tensors)]
        if like and self.d.chance(0.6):
            block, shape = self.d.one(like)
            tensor = self.d.one([x for x in self.tensors if x.shape == shape])
        else:
            tensor = self.pick(2)
            shape = tensor.shape
            block = (layers.Dense(self.d.whole(1, 4), activation=self.d.activation()),
                     *((layers.LayerNormalization(),) if self.d.chance(0.5) else ()),
                     *((layers.Dropout(0.3),) if self.d.chance(0.3) else ()), layers.Dense(self.d.whole(1, 3)))
            self.blocks.append((block, shape))
        for layer in block:
            tensor = layer(tensor)
        self.add(tensor)


def case(number: int, calls: int) -> RandomCase:
    """The model of that number with so many calls; a smaller one is the beginning of the larger. Raises SpecError
    where Keras's rules do not allow it as a whole."""
    d = Draw(21, number)
    graph = WideGraph(d)
    kinds = [d.one(INPUTS) for _ in range(d.one((1, 1, 1, 2, 3)))]
    inputs, shapes = [], []
    for index, kind in enumerate(kinds):
        shapes.append(INPUTS[kind](d))
        tensor = Input(shapes[-1], name=f"input_{index}", dtype="int32" if kind == "ids" else None)
        inputs.append(tensor)
        if kind == "ids":
            tensor = embedding(d, ROWS)(tensor)
        graph.add(layers.Masking()(tensor) if kind == "masked" else tensor)
    for _ in range(calls):
        for _ in range(20):  # what does not fit is drawn anew
            try:
                graph.grow()
                break
            except SpecError:
                continue
    made = [tensor for tensor in graph.tensors if tensor.call is not None and tensor.dtype.startswith("float")]
    if not made:
        raise SpecError("nothing was made.")
    outputs = made[-1:] if d.chance(0.5) else made[-d.whole(1, 3):]
    behind = {id(tensor) for output in outputs for tensor in _behind(output)}
    used = [index for index, tensor in enumerate(inputs) if id(tensor) in behind]
    model = Model([inputs[index] for index in used], outputs, name=f"graph_{number}_{calls}")
    check_masks(model)
    return RandomCase(
        model, tuple(shapes[index] for index in used), tuple("ids" if kinds[index] == "ids" else "normal"
                                                             for index in used),
        tuple(kinds[index] == "masked" for index in used), d.whole(1, 4))


def play(run_case: Any, number: int, calls: int, moved: bool) -> tuple[engine.Arrays, str]:
    """(arrays, how it ended)."""
    try:
        drawn = case(number, calls)
        with np.errstate(all="ignore"):
            arrays, _ = run_case(f"graph {number} {calls}", Moved(drawn) if moved else drawn)
    except SpecError as error:
        return {}, f"refused: {error}"
    except Exception:  # a crash is what is looked for
        return {}, "crash: " + traceback.format_exc(limit=-8)
    arrays.pop("regularization", None)  # which TensorFlow's side alone hands back
    # Of a frozen layer's own layers, made when it is built, Keras calls the variables trainable; it trains them not.
    frozen = {weight.name for weight in drawn.model.weights if not weight.trainable}
    return {what: array for what, array in arrays.items() if what.removeprefix("weight gradient ") not in frozen}, \
        "played"


class Moved:
    """A case whose weights are moved by one unit in the last place (see `moved_weights`)."""

    def __init__(self, inner: RandomCase) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def moving(inputs_of: Any) -> Any:
    """engine.inputs_of, which moves the inputs of a `Moved` case."""
    def inputs(key: str, item: Any) -> list[np.ndarray]:
        arrays: list[np.ndarray] = inputs_of(key, item)
        if not isinstance(item, Moved):
            return arrays
        rng = np.random.default_rng(0)
        return [array + rng.choice((-1, 1), array.shape) * np.spacing(np.abs(array)) if array.dtype == np.float64
                else array for array in arrays]

    return inputs


def main() -> None:
    backend, folder = sys.argv[1], Path(sys.argv[2])
    engine.inputs_of = moving(engine.inputs_of)
    if backend == "tensorflow":
        import keras

        from tests.conformance.run_tensorflow import run_case

        keras.config.set_floatx("float64")
        forget = keras.backend.clear_session
    else:
        import torch

        from tests.conformance.run_pytorch import run_case

        torch.set_num_threads(1)

        def forget() -> None:
            pass

    print(json.dumps({"ending": "ready"}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        arrays, ending = play(run_case, asked["number"], asked["calls"], asked.get("moved", False))
        np.savez(folder / f"{backend}_{asked['number']}_{asked['calls']}.npz", **arrays)  # type: ignore[arg-type]
        forget()
        print(json.dumps({"ending": ending}), flush=True)


if __name__ == "__main__":
    main()
