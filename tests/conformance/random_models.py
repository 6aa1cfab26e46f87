"""Random trainings that both backends play from the same plan, in float64: every case follows from its number.

    python -m tests.conformance.random_models <backend> <numbers as JSON> <folder> [moved]

trains the numbered cases in one framework's process and leaves <backend>.npz in the folder: losses, weights,
optimizer slots, histories and test results, and how each case ended. `moved` starts from weights that are moved by
one unit in the last place: how far that takes a training is how far rounding may take it.
TensorFlow's process comes first: the other one may go on from its checkpoints.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness import Input, Model, layers
from harness.errors import CellFailed, SpecError
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec
from tests.conformance.random_layers import MERGES, Draw, attention, embedding, unary
from tests.conformance.random_recipes import Head, head, recipe
from tests.conformance.special_models import SPECIAL, arrays

ROWS = 7  # of an embedding
NO_CHECKPOINT = "TensorFlow was refused and left no checkpoint to go on from."
LARGEST = 150  # numbers of one example in a tensor


@dataclass
class Graph:
    """A model in the making: the tensors so far, and the calls by which they were made."""

    d: Draw
    tensors: list[Any] = field(default_factory=list)
    calls: list[tuple[Layer, tuple[Any, ...]]] = field(default_factory=list)

    def add(self, result: Any) -> None:
        for tensor in result if isinstance(result, tuple) else (result,):
            if np.prod([size or 1 for size in tensor.shape]) <= LARGEST and len(tensor.shape) <= 5:
                self.tensors.append(tensor)

    def pick(self, rank: int | None = None) -> Any:
        """One of the latest tensors rather than of the first."""
        fitting = [tensor for tensor in self.tensors if rank in (None, len(tensor.shape))]
        if not fitting:
            raise SpecError("no tensor of that rank yet.")
        return fitting[-1 - min(int(self.d.rng.exponential(1.5)), len(fitting) - 1)]

    def grow(self) -> None:
        """One more call. Raises SpecError where what was drawn does not fit."""
        way = self.d.rng.random()
        if way < 0.15 and len(self.tensors) > 1:
            self._merge()
        elif way < 0.25 and self.calls:
            layer, feeds = self.d.one(self.calls)
            like = [tensor for tensor in self.tensors if tensor.shape == feeds[0].shape]
            self.add(layer(self.d.one(like)))
        elif way < 0.33:
            query, value = self.pick(3), self.pick(3)
            layer = attention(self.d)
            layer.weights(query.shape, value.shape)  # refused here and not when the model is made
            self.add(layer(query, value, **({"use_causal_mask": True} if self.d.chance(0.3) else {})))
        else:
            self._unary()

    def _unary(self) -> None:
        tensor = self.pick()
        layer = unary(self.d, tensor.shape)
        arguments = {}
        if isinstance(layer, (layers.SimpleRNN, layers.LSTM, layers.GRU)) and self.d.chance(0.5):
            states = [item for item in self.tensors if item.shape == (None, layer.units)]
            arguments = {"initial_state": [self.d.one(states) for _ in range(layer.states)]} if states else {}
        self.add(layer(tensor, **arguments))
        if not arguments:
            self.calls.append((layer, (tensor,)))

    def _merge(self) -> None:
        first = self.pick()
        like = [tensor for tensor in self.tensors if len(tensor.shape) == len(first.shape) and tensor is not first]
        name = self.d.one(MERGES)
        count = 1 if name == "Subtract" else self.d.whole(1, 2)
        others = [self.d.one(like or self.tensors) for _ in range(count)]
        options = self.d.some(axis=lambda: 1) if name == "Concatenate" else {}
        self.add(getattr(layers, name)(**options)([first, *others]))


@dataclass(frozen=True)
class Case:
    number: int
    spec: ModelSpec
    recipe: dict[str, Any]
    execution: dict[str, Any]
    arrays: dict[str, Any]


def case(number: int | str) -> Case:
    """The case of that number, or the special one of that name: the same in every process."""
    if isinstance(number, str):
        spec, loss, execution = SPECIAL[number]
        plan = {"loss": loss, "batch_size": 4, "epochs": 2,
                "optimizer": {"SGD": {"learning_rate": 0.05, "momentum": 0.9}}}
        common = {"precision": "float64", "device": "cpu", "compile": "none"}
        return Case(list(SPECIAL).index(number), spec, plan, {**common, **execution}, arrays(spec))
    d = Draw(20, number)
    graph = Graph(d)
    inputs = [_input(graph, index) for index in range(d.one((1, 1, 1, 2, 3)))]
    for _ in range(d.whole(2, 8)):
        for _ in range(20):  # what does not fit is drawn anew
            try:
                graph.grow()
                break
            except SpecError:
                continue
    heads = [head(d, _settled(d, graph.pick())) for _ in range(d.one((1, 1, 1, 2, 3)))]
    behind = {id(tensor) for item in heads for tensor in _behind(item.tensor)}
    used = [item for item in inputs if id(item) in behind]
    spec = Model(used, [item.tensor for item in heads], name=f"case_{number}")
    drawn = data(d, spec, heads)
    plan = recipe(d, spec, heads, drawn["validation"] is not None)
    return Case(number, spec, plan, _execution(d, spec), drawn)


def _settled(d: Draw, tensor: Any) -> Any:
    """More often than not one vector per example."""
    if len(tensor.shape) == 2 or d.chance(0.4):
        return tensor
    return layers.GlobalAveragePooling1D()(tensor) if len(tensor.shape) == 3 and d.chance(0.4) else \
        layers.Flatten()(tensor)


def _input(graph: Graph, index: int) -> Any:
    d, name = graph.d, f"input_{index}"
    kind = d.one(("vector", "steps", "steps", "image", "image", "ids"))
    if kind == "ids":
        tensor = Input((d.whole(2, 5),), name=name, dtype="int32")
        graph.add(embedding(d, ROWS)(tensor))
        return tensor
    shape = {"vector": (d.whole(1, 6),), "steps": (d.whole(2, 5), d.whole(1, 4)),
             "image": (d.whole(3, 6), d.whole(3, 5), d.whole(1, 3))}[kind]
    tensor = Input(shape, name=name)
    graph.add(layers.Masking()(tensor) if kind == "steps" and d.chance(0.5) else tensor)
    return tensor


def _behind(tensor: Any) -> Iterator[Any]:
    yield tensor
    if tensor.call is not None:
        given = tensor.call.arguments.get("initial_state", ())
        for item in (*tensor.call.inputs, *given):
            yield from _behind(item)


def data(d: Draw, spec: ModelSpec, heads: list[Head]) -> dict[str, Any]:
    """Arguments of `from_arrays`."""
    def part(examples: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        x = {item.name: _values_of(d, item.dtype, (examples, *item.shape[1:])) for item in spec.inputs}
        y = {name: item.targets(d.rng, spec.tensors[reference], examples)
             for name, reference, item in zip(spec.output_names, spec.outputs, heads, strict=True)}
        return x, y

    examples = d.whole(4, 17)
    x, y = part(examples)
    # With several losses per example, weights are refused: see that now and then only.
    weighted = d.chance(0.25 if all(len(item.tensor.shape) == 2 for item in heads) else 0.03)
    return {"x": x, "y": y, "validation": part(d.whole(1, 9)) if d.chance(0.5) else None,
            "test": part(d.whole(1, 5)) if d.chance(0.3) else None,
            "sample_weight": d.rng.uniform(0.0, 2.0, examples) if weighted else None}


def _values_of(d: Draw, dtype: str, size: tuple[int, ...]) -> np.ndarray:
    """Ids with padding (0) at the end, and steps of which some are all zero."""
    if dtype == "int32":
        values = d.rng.integers(1, ROWS, size).astype(np.int32)
        values[np.arange(size[1]) >= d.rng.integers(1, size[1] + 1, (size[0], 1))] = 0
        return values
    values = d.rng.normal(size=size)
    if len(size) == 3:
        values[d.rng.random(size[:2]) < 0.25] = 0.0
    return values


def _execution(d: Draw, spec: ModelSpec) -> dict[str, Any]:
    # Stock `fit` does not merge the gradients of an embedding's repeated ids (docs/known-differences.md).
    embeds = any(type(layer).__name__ == "Embedding" for layer in spec.layers.values())
    tier = {"tier": "idiomatic", "random": "tape"} if d.chance(0.15) and not embeds else {}
    return {"precision": "float64", "device": "cpu", "compile": d.one(("none",) * 8 + ("auto", "xla")), **tier}


def job(item: Case, backend: str, folder: Path, moved: bool = False) -> Any:
    from harness.backends import load_backend
    from harness.data import from_arrays
    from harness.spec.execution import Execution
    from harness.spec.recipe import Recipe
    from harness.training.run import Job
    from harness.training.state import read_state

    def left_by_tensorflow(_: str, phase: str) -> Any:
        path = folder / f"{item.number}_{phase}.safetensors"
        if not path.exists():
            raise SpecError(NO_CHECKPOINT)
        return read_state(path)

    plan = json.loads(json.dumps(item.recipe, default=str))
    for phase in plan.get("phases", ()):
        if phase.get("start_from") == "file":
            phase["start_from"] = str(_checkpoint(item, folder))
    if "class_weight" in plan:
        plan["class_weight"] = {int(label): factor for label, factor in plan["class_weight"].items()}
    execution = dict(item.execution)
    if backend == "pytorch":
        execution["compile"] = "none"
    wanted = [name for name, loss in zip(item.spec.output_names, _losses(item), strict=True) if loss is not None]
    given = {**item.arrays, "y": _only(item.arrays["y"], wanted)}
    given |= {part: (given[part][0], _only(given[part][1], wanted)) for part in ("validation", "test")
              if given[part] is not None}
    dataset = from_arrays(**given)
    return Job(item.spec, Recipe.parse(plan), dataset, load_backend(backend), Execution(**execution), seed=item.number,
               weights=_first_weights(item, moved),
               checkpoint_of=left_by_tensorflow)


def _losses(item: Case) -> list[Any]:
    loss = item.recipe["loss"]
    return loss if isinstance(loss, list) else [loss] * len(item.spec.outputs)


def _only(arrays: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    return {name: arrays[name] for name in names}


def _first_weights(item: Case, moved: bool) -> dict[str, np.ndarray]:
    from harness.plan.initial import draw

    weights = {weight.name: np.asarray(draw(weight, item.number), np.float64) for weight in item.spec.weights}
    if not moved:
        return weights
    rng = np.random.default_rng(item.number)
    # A weight that is 0 moves by as much as one of 0.1 does.
    return {name: array + rng.choice((-1, 1), array.shape) * np.spacing(np.maximum(np.abs(array), 0.1))
            for name, array in weights.items()}


def _checkpoint(item: Case, folder: Path) -> Path:
    from harness.plan.initial import draw
    from harness.records.checkpoint import save_checkpoint

    path = folder / f"{item.number}_file.safetensors"
    if not path.exists():
        save_checkpoint(path, {weight.name: np.asarray(draw(weight, 9), np.float64) for weight in item.spec.weights})
    return path


def played(number: int | str, backend: str, folder: Path, moved: bool) -> tuple[dict[str, np.ndarray], str]:
    """(arrays by what they are, how it ended: "trained", a refusal, or a traceback)."""
    from harness.records.checkpoint import save_checkpoint
    from harness.training.run import train
    from harness.training.state import to_tensors

    try:
        training = train(job(case(number), backend, folder, moved))
    except (SpecError, CellFailed) as error:
        return {}, f"{type(error).__name__}: {error}"
    except Exception:  # a crash is what is looked for
        return {}, "crash: " + traceback.format_exc(limit=-8)
    if backend == "tensorflow" and not moved:
        for name, state in training.checkpoints.items():
            save_checkpoint(folder / f"{number}_{name}.safetensors", to_tensors(state))
    return arrays_of(training), "trained"


def arrays_of(training: Any) -> dict[str, np.ndarray]:
    found: dict[str, Any] = {f"weight {name}": array for name, array in training.state.weights.items()}
    for slot, kept in training.state.slots.items():
        found |= {f"slot {slot} {name}": array for name, array in kept.items()}
    for phase in training.phases:
        found[f"losses {phase.name}"] = np.concatenate(phase.losses)
        found[f"end {phase.name}"] = np.array([phase.best_epoch or 0, phase.stopped_early, phase.restored_best], float)
        for log in phase.epochs:
            found |= {f"log {phase.name} {log['epoch']} {key}": np.float64(value)
                       for key, value in log.items() if key not in ("seconds", "epoch")}
    return found | {f"test {key}": np.float64(value) for key, value in (training.test or {}).items()}


def main() -> None:
    backend, numbers, folder, moved = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), "moved" in sys.argv[4:]
    kept: dict[str, np.ndarray] = {}
    endings, seconds = {}, {}
    for number in numbers:
        began = time.perf_counter()
        found, endings[number] = played(number, backend, folder, moved)
        seconds[number] = time.perf_counter() - began
        kept |= {f"{number}|{what}": array for what, array in found.items()}
        if backend == "tensorflow":
            import keras

            keras.backend.clear_session()
    name = f"{backend}_moved" if moved else backend
    np.savez(folder / f"{name}.npz", facts=np.array(json.dumps({"endings": endings, "seconds": seconds})), **kept)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
