"""ModelSpec: a named graph of layers, frozen and framework-free.

Shapes, weights, the parameter count and the FLOPs are known from the spec alone. The digest depends on
what the model computes, never on Python identities or on how the spec was written down.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.constraints import Constraint
from harness.spec.initializers import Initializer
from harness.spec.layers.base import Layer, Shape, Weight
from harness.spec.products import total
from harness.spec.regularizers import Regularizer


@dataclass(frozen=True)
class InputSpec:
    """One input: name, shape with the batch dimension first, dtype of the values fed."""

    name: str
    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True)
class Node:
    """One call of a layer.

    inputs: references of the tensors fed, in order: "image", "conv", or "lstm:1" for a second output.
    arguments: further arguments of the call; a tensor among them is a `Reference`.
    """

    name: str
    layer: str
    inputs: tuple[str, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def references(self) -> tuple[str, ...]:
        """Everything this call reads: its inputs, and the tensors among its arguments."""
        extra = (item for value in self.arguments.values() for item in references_in(value))
        return (*self.inputs, *extra)


@dataclass(frozen=True)
class Reference:
    """A tensor among the arguments of a call."""

    to: str


def references_in(value: Any) -> tuple[str, ...]:
    """The tensor references in an argument's value (a Reference, or a list of them)."""
    if isinstance(value, Reference):
        return (value.to,)
    if isinstance(value, (list, tuple)):
        return tuple(reference for item in value for reference in references_in(item))
    return ()


@dataclass(frozen=True)
class NamedWeight:
    """A weight of the model under its canonical name, "layer/role"."""

    name: str
    layer: str
    role: str
    shape: tuple[int, ...]
    initializer: Initializer
    trainable: bool
    regularizer: Regularizer | None
    size: int
    fans: tuple[float, float] | None = None
    constraint: Constraint | None = None


@dataclass(frozen=True)
class ModelSpec:
    """A model: inputs, layers by name, calls in topological order, outputs.

    Made by `harness.Model`, `harness.Sequential` or `harness.load_model`; checked when it is made.
    """

    name: str
    inputs: tuple[InputSpec, ...]
    layers: Mapping[str, Layer]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        names = Counter([item.name for item in self.inputs] + [node.name for node in self.nodes])
        for name, count in names.items():
            if count > 1:
                raise SpecError(f"two layers are named {name!r}; names must be unique.", where=f"model {self.name!r}")
        flat: dict[str, str] = {}
        for name in self.layers:
            # Keras has no "/" in a layer's name.
            other = flat.setdefault(name.replace("/", "_"), name)
            if other != name:
                raise SpecError(f"the layers {other!r} and {name!r} would have one name in Keras, where '/' is '_'.",
                                where=f"model {self.name!r}", hint="Rename one of them.")
        _ = self.tensors, self.weights  # shapes are checked when the spec is made, not when it is used

    @cached_property
    def tensors(self) -> dict[str, Shape]:
        """The shape of every tensor by its reference. "x" and "x:0" are the same tensor."""
        shapes: dict[str, Shape] = {item.name: item.shape for item in self.inputs}
        for node in self.nodes:
            for reference in node.references:
                if reference not in shapes:
                    raise SpecError(
                        f"the input {reference!r} does not exist or comes later.",
                        where=f"model {self.name!r}, layer {node.name!r}",
                        hint=did_you_mean(reference, shapes),
                    )
            result = self._call_shape(node, shapes)
            several = bool(result) and isinstance(result[0], tuple)
            outputs: tuple[Shape, ...] = result if several else (result,)  # type: ignore[assignment]
            for index, shape in enumerate(outputs):
                if any(size is not None and size < 0 for size in shape):
                    raise SpecError(f"the output would have the shape {shape}.",
                                    where=f"model {self.name!r}, layer {node.name!r}")
                shapes[node.name if index == 0 else f"{node.name}:{index}"] = shape
        for reference in self.outputs:
            if reference not in shapes:
                raise SpecError(f"the output {reference!r} does not exist.", where=f"model {self.name!r}",
                                hint=did_you_mean(reference, shapes))
        return shapes

    def _call_shape(self, node: Node, shapes: Mapping[str, Shape]) -> Shape | tuple[Shape, ...]:
        layer = self.layers[node.layer]
        try:
            layer.check_call(node.arguments)
            return layer.call_shape(tuple(shapes[reference] for reference in node.inputs), node.arguments)
        except SpecError as error:
            raise error.at(f"model {self.name!r}, layer {node.name!r}") from None

    def input_shapes(self, node: Node) -> tuple[Shape, ...]:
        """The shapes of a call's inputs."""
        return tuple(self.tensors[reference] for reference in node.inputs)

    @cached_property
    def first_calls(self) -> dict[str, Node]:
        """The first call of every layer: the one that decides the shapes of its weights."""
        return {name: calls[0] for name, calls in self.calls.items()}

    @cached_property
    def calls(self) -> dict[str, list[Node]]:
        """Layer -> its calls, in order."""
        calls: dict[str, list[Node]] = {}
        for node in self.nodes:
            calls.setdefault(node.layer, []).append(node)
        return calls

    def layer_weights(self, name: str) -> tuple[Weight, ...]:
        """The weights that a layer declares. A shared layer must declare the same at every call."""
        declared = None
        for node in self.calls.get(name, ()):
            try:
                weights = self.layers[name].weights(*self.input_shapes(node))
            except SpecError as error:
                raise error.at(f"model {self.name!r}, layer {node.name!r}") from None
            if declared is not None and [w.shape for w in declared] != [w.shape for w in weights]:
                raise SpecError(
                    f"the layer {name!r} is called on inputs that need weights of different shapes: "
                    f"{[w.shape for w in declared]} and {[w.shape for w in weights]}.",
                    where=f"model {self.name!r}",
                )
            declared = declared or weights
        return declared or ()

    @cached_property
    def weights(self) -> tuple[NamedWeight, ...]:
        """Every weight under its canonical name, in the order of the layers' first calls."""
        return tuple(
            NamedWeight(
                name=f"{name}/{weight.role}", layer=name, role=weight.role, shape=weight.shape,
                initializer=weight.initializer, trainable=weight.trainable and self.layers[name].trainable,
                regularizer=weight.regularizer, size=weight.size, fans=weight.fans, constraint=weight.constraint,
            )
            for name in self.first_calls
            for weight in self.layer_weights(name)
        )

    @property
    def parameters(self) -> int:
        """The number of parameters, as `keras.Model.count_params()` counts them."""
        return sum(weight.size for weight in self.weights)

    @property
    def trainable_parameters(self) -> int:
        return sum(weight.size for weight in self.weights if weight.trainable)

    @cached_property
    def _counted(self) -> tuple[ModelSpec, int]:
        """The model whose shapes the FLOPs are counted from, and its number of examples."""
        from harness.spec.flops import at_batch

        fixed = {item.shape[0] for item in self.inputs} - {None}
        if fixed:
            return self, max(size for size in fixed if size is not None) or 1
        try:
            return at_batch(self, 1), 1
        except SpecError:  # of one example it cannot be asked: it takes its batch apart
            return self, 1

    def node_flops(self, node: Node) -> int | None:
        """Forward FLOPs of a call on one example, None where a dimension is unknown."""
        spec, batch = self._counted
        found = total(self.layers[node.layer].call_products(spec.input_shapes(node), node.arguments))
        return None if found is None else found // batch

    @property
    def flops(self) -> int | None:
        """Forward FLOPs of one example (2 per multiply-add), None where a dimension is unknown. Those of a training
        step: harness/spec/flops.py."""
        counts = [self.node_flops(node) for node in self.nodes]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Keras's names of the outputs: the layer that made each; a number tells several outputs of a layer apart."""
        names: list[str] = []
        for base in (reference.split(":")[0] for reference in self.outputs):
            taken = [*names, *(reference for reference in self.outputs if reference != base)]
            numbered = (f"{base}_{number}" for number in range(1, len(taken) + 2))
            names.append(base if base not in names else next(name for name in numbered if name not in taken))
        return tuple(names)

    @cached_property
    def digest(self) -> str:
        """sha256 over the canonical form, the model's own name left out: 64 hexadecimal characters."""
        data = self.to_data()
        data.pop("name")
        return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_data(self) -> dict[str, Any]:
        """The spec as plain data: what the YAML and JSON forms hold."""
        from harness.spec.serial import model_to_data

        return model_to_data(self)

    @staticmethod
    def from_data(data: Any, *, where: str = "model") -> ModelSpec:
        """The inverse of `to_data`. Raises SpecError with the place of the mistake."""
        from harness.spec.serial import model_from_data

        return model_from_data(data, where=where)

    def save(self, path: Any) -> None:
        """Writes the spec as .yaml, .yml or .json."""
        from harness.spec.serial import save_model

        save_model(self, path)

    def with_trainable(self, trainable: Mapping[str, bool]) -> ModelSpec:
        """The same model with layers frozen (False) or unfrozen (True) by name."""
        layers = {
            name: copy_layer(layer, trainable=trainable[name]) if name in trainable else layer
            for name, layer in self.layers.items()
        }
        return replace(self, layers=layers)

    def with_layers(self, layers: Mapping[str, Layer]) -> ModelSpec:
        """The same graph with some layers replaced by name: a head swap. Shapes are checked again."""
        for name in layers:
            if name not in self.layers:
                raise SpecError(f"there is no layer {name!r} to replace.", where=f"model {self.name!r}",
                                hint=did_you_mean(name, self.layers))
        return replace(self, layers={**self.layers, **layers})

    def _repr_html_(self) -> str:
        from harness.spec.summary import summary_html

        return summary_html(self)

    def summary(self) -> str:
        """The layer table (name, type, output shape, parameters, FLOPs) as text."""
        from harness.spec.summary import summary_text

        return summary_text(self)


def copy_layer(layer: Layer, **changes: Any) -> Layer:
    """A layer with some arguments changed; its name is kept."""
    arguments = {key: getattr(layer, key) for key in type(layer).model_fields}
    arguments.update(changes)
    return type(layer)(**arguments)
