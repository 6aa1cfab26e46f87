"""Keras's functional notation: Input, Model, Sequential, and layers called on tensors.

Calling a layer only records the call. `Model` walks back from the outputs, names what has no name (as
Keras does: dense, dense_1, ...) and makes the frozen ModelSpec.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import SpecError
from harness.spec.configured import snake_case
from harness.spec.layers.base import Layer, Shape
from harness.spec.model import InputSpec, ModelSpec, Node, Reference
from harness.spec.operators import Operators

# The layers that only move values about; all others make floats of whole numbers.
KEEP_INTEGERS = frozenset({
    "Concatenate", "Cropping1D", "Cropping2D", "Flatten", "Permute", "RepeatVector", "Reshape", "UpSampling1D",
    "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D",
})


@dataclass(frozen=True, eq=False)
class Call:
    """One recorded call of a layer (or of a nested model) on tensors."""

    layer: Layer
    inputs: tuple[Tensor, ...]
    arguments: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Tensor(Operators):
    """A symbolic tensor: the shape (batch first) and where it comes from (`KerasTensor` in Keras).

    call is None for an input. index: which output of the call.
    """

    shape: Shape
    dtype: str
    call: Call | None = None
    index: int = 0
    name: str | None = field(default=None)


def Input(  # noqa: N802 (Keras's name)
    shape: Sequence[int | None] | int | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
    batch_shape: Sequence[int | None] | None = None,
) -> Tensor:
    """An input of a model. shape: without the batch dimension, None where it may vary."""
    if batch_shape is not None:
        batch_size, shape = batch_shape[0], tuple(batch_shape)[1:]
    if shape is None:
        raise SpecError("Input needs a shape.", hint="Write Input(shape=(28, 28, 1)).")
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    for size in dims:
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise SpecError(f"an Input's shape holds positive integers or None, got {dims}.", where=f"Input {name!r}")
    return Tensor((batch_size, *dims), dtype or "float32", name=name)


def call_layer(layer: Layer, inputs: tuple[Any, ...], arguments: dict[str, Any]) -> Tensor | tuple[Tensor, ...]:
    """Records `layer(*inputs, **arguments)`. Returns one tensor, or a tuple for layers with several outputs."""
    tensors: list[Tensor] = []
    for item in inputs:
        tensors.extend(item) if isinstance(item, (list, tuple)) else tensors.append(item)
    for name in layer.call_arguments[len(tensors):]:
        # attention(query=..., value=...): tensors given by name take their place in order.
        if isinstance(arguments.get(name), Tensor) and name == layer.call_arguments[len(tensors)]:
            tensors.append(arguments.pop(name))
    arguments = {key: value for key, value in arguments.items() if value is not None}
    if not tensors or not all(isinstance(item, Tensor) for item in tensors):
        wrong = next((item for item in tensors if not isinstance(item, Tensor)), inputs)
        raise SpecError(f"a layer is called on tensors that come from Input or from another layer, got {wrong!r}.",
                        where=f"{type(layer).__name__} {layer.name!r}" if layer.name else type(layer).__name__)
    try:
        shapes = layer.call_shape(tuple(tensor.shape for tensor in tensors), arguments)
    except SpecError as error:
        raise error.at(f"layer {layer.name!r}" if layer.name else type(layer).__name__) from None
    call = Call(layer, tuple(tensors), arguments)
    dtype = tensors[0].dtype
    if not dtype.startswith("float") and type(layer).__name__ not in KEEP_INTEGERS:
        dtype = "float32"
    if shapes and isinstance(shapes[0], tuple):
        return tuple(Tensor(shape, dtype, call, index) for index, shape in enumerate(shapes))  # type: ignore[arg-type]
    return Tensor(shapes, dtype, call)  # type: ignore[arg-type]


def Model(  # noqa: N802 (Keras's name)
    inputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    outputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    name: str | None = None,
) -> ModelSpec:
    """The model between these inputs and outputs, as a frozen ModelSpec."""
    ins, outs = _tensors(inputs, "inputs"), _tensors(outputs, "outputs")
    order = _topological(outs, ins)
    if not order:
        raise SpecError("the outputs are the inputs: a Model needs a layer between them.",
                        where=f"model {name!r}" if name else None)
    names = _Names()
    input_names = {id(tensor): names.give(tensor.name, "input") for tensor in ins}
    layers: dict[str, Layer] = {}
    layer_names: dict[int, str] = {}
    call_names: dict[int, str] = {}
    nodes: list[Node] = []
    # Names that the user gave come first, so that no automatic name can take one of them.
    for call in order:
        if call.layer.name and id(call.layer) not in layer_names:
            layer_names[id(call.layer)] = names.give(call.layer.name, "")
    calls_of: dict[str, int] = {}
    for call in order:
        label = layer_names.setdefault(id(call.layer), "")
        if not label:
            label = layer_names[id(call.layer)] = names.automatic(snake_case(type(call.layer).__name__))
        layers.setdefault(label, call.layer)
        count = calls_of[label] = calls_of.get(label, -1) + 1
        call_names[id(call)] = label if count == 0 else f"{label}@{count}"

        def reference(tensor: Tensor) -> str:
            if tensor.call is None:
                return input_names[id(tensor)]
            node = call_names[id(tensor.call)]
            return node if tensor.index == 0 else f"{node}:{tensor.index}"

        nodes.append(Node(
            name=call_names[id(call)], layer=label, inputs=tuple(reference(tensor) for tensor in call.inputs),
            arguments={key: _replace_tensors(value, reference) for key, value in call.arguments.items()},
        ))
    return ModelSpec(
        name=name or "model",
        inputs=tuple(InputSpec(input_names[id(tensor)], tensor.shape, tensor.dtype) for tensor in ins),
        layers=layers, nodes=tuple(nodes), outputs=tuple(reference(tensor) for tensor in outs),
    )


def Sequential(layers: Iterable[Any] | None = None, name: str | None = None) -> ModelSpec:  # noqa: N802
    """A chain of layers. The first is an Input, or a layer with `input_shape`."""
    items = list(layers or [])
    if not items:
        raise SpecError("a Sequential model needs at least one layer.")
    tensor = start = sequential_input(items)
    if start is None or tensor is None:
        raise SpecError("the input shape of the Sequential model is not known.",
                        hint="Put Input(shape=...) first, or give the first layer input_shape=.")
    for item in items:
        if isinstance(item, Tensor):
            if item is not start:
                raise SpecError("an Input may only stand first in a Sequential model.")
            continue
        if not isinstance(item, Layer):
            raise SpecError(f"a Sequential model holds layers, got {item!r}.")
        tensor = item(tensor)
    return Model(start, tensor, name=name or "sequential")


def sequential_input(items: Sequence[Any], dtype: str | None = None) -> Tensor | None:
    """The Input of a list of layers: given, or made from the first layer's input_shape; None if unknown."""
    first = items[0]
    if isinstance(first, Tensor):
        return first
    if isinstance(first, Layer) and first.input_shape is not None:
        return Input(first.input_shape, dtype=dtype)
    return None


class _Names:
    """Unique names: as given, or numbered as Keras numbers them."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def give(self, wanted: str | None, base: str) -> str:
        if wanted is None:
            return self.automatic(base)
        if wanted in self.taken:
            raise SpecError(f"two layers are named {wanted!r}; names must be unique.")
        self.taken.add(wanted)
        return wanted

    def automatic(self, base: str) -> str:
        name, number = base, 0
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        return name


def _tensors(value: Any, what: str) -> list[Tensor]:
    items = list(value.values()) if isinstance(value, Mapping) else value
    items = list(items) if isinstance(items, (list, tuple)) else [items]
    if not items or not all(isinstance(item, Tensor) for item in items):
        raise SpecError(f"a Model's {what} are tensors that come from Input or from a layer, got {value!r}.")
    return items


def _replace_tensors(value: Any, reference: Any) -> Any:
    if isinstance(value, Tensor):
        return Reference(reference(value))
    if isinstance(value, (list, tuple)):
        return [_replace_tensors(item, reference) for item in value]
    return value


def _argument_tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _argument_tensors(item)]
    return []


def _topological(outputs: list[Tensor], inputs: list[Tensor]) -> list[Call]:
    """The calls behind the outputs, each after what it reads (iterative: deep models must not hit a limit)."""
    order: list[Call] = []
    done: set[int] = set()
    known = {id(tensor) for tensor in inputs}
    stack: list[tuple[Tensor, bool]] = [(tensor, False) for tensor in reversed(outputs)]
    while stack:
        tensor, read = stack.pop()
        call = tensor.call
        if call is None:
            if id(tensor) not in known:
                raise SpecError(f"an Input of shape {tensor.shape} is used but not among the model's inputs.")
            continue
        if id(call) in done:
            continue
        if read:
            done.add(id(call))
            order.append(call)
            continue
        stack.append((tensor, True))
        behind = [*call.inputs, *(t for value in call.arguments.values() for t in _argument_tensors(value))]
        stack.extend((item, False) for item in reversed(behind))
    return order
