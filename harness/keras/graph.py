"""What a Keras model is behind its face: symbolic tensors, the ModelSpec that they make, and its layers.

Layers stand in Keras's order (keras/src/ops/function.py: map_graph): by their distance from the outputs, those
of one distance as a walk back from the outputs meets them. `get_weights` lists the weights in that order.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError
from harness.keras.layers import MADE_BY, InputLayer, Layer, in_front_of
from harness.spec import notation
from harness.spec.model import ModelSpec
from harness.spec.notation import Call, Tensor

if TYPE_CHECKING:
    from harness.keras.model import Model

# The call of a model on tensors is recorded as calls of its layers; this says whose they are.
CALLED_BY: weakref.WeakKeyDictionary[Call, Model] = weakref.WeakKeyDictionary()


class Graph:
    """inputs, outputs: symbolic tensors. spec: the frozen model. layers: label in the spec -> layer."""

    def __init__(self, inputs: Any, outputs: Any, name: str | None) -> None:
        self.inputs, self.outputs = flat(inputs), flat(outputs)
        self.spec: ModelSpec = notation.Model(self.inputs, self.outputs, name=name)
        # A dict of outputs comes back as one.
        self.output_keys = sorted(outputs) if isinstance(outputs, Mapping) else None
        check_keys(inputs, [item.name for item in self.spec.inputs], "input")
        check_keys(outputs, self.spec.output_names, "output")
        # Calls found again: one pass over the spec's layers, which are the very objects of the calls.
        self.calls = calls_behind(self.outputs, self.inputs)
        makers: dict[int, Layer] = {}
        for call in self.calls:
            makers.setdefault(id(call.layer), MADE_BY.get(call) or operation(call))
        self.layers = {label: makers[id(layer)] for label, layer in self.spec.layers.items()}
        self.labels = {id(layer): label for label, layer in self.layers.items()}
        self._makers = makers

    def maker(self, call: Call) -> Layer:
        return self._makers[id(call.layer)]

    def input_layers(self) -> list[InputLayer]:
        names = [item.name for item in self.spec.inputs]
        return [InputLayer.of(tensor, name) for tensor, name in zip(self.inputs, names, strict=True)]

    def ordered(self) -> list[Layer | Model | Tensor]:
        """Layers, called models and the inputs' tensors, in Keras's order."""
        order, first_seen = walk_back(self.outputs, self.inputs)
        depths: dict[int, int] = {}
        node_depths: dict[int, int] = {}
        items: dict[int, Any] = {}
        for tensor_or_call in reversed(order):
            item = self._item(tensor_or_call)
            items[id(item)] = item
            depth = max(node_depths.get(id(tensor_or_call), 0), depths.get(id(item), 0))
            node_depths[id(tensor_or_call)] = depths[id(item)] = depth
            for before in parents(tensor_or_call, self.inputs):
                # A called model is one step, however many layers it has.
                step = 0 if self._item(before) is item else 1
                node_depths[id(before)] = max(node_depths.get(id(before), 0), depth + step)
        seen = {id(self._item(node)): position for position, node in reversed(list(enumerate(first_seen)))}
        return [items[key] for key in sorted(depths, key=lambda key: (-depths[key], seen[key]))]

    def _item(self, node: Call | Tensor) -> Any:
        if isinstance(node, Tensor):
            return node
        return CALLED_BY.get(node) or self.maker(node)

    def replay(self, tensors: Sequence[Tensor], owner: Model) -> list[Tensor]:
        """The outputs of the same layers called on other tensors: a model used as a layer."""
        known: dict[tuple[int, int], Tensor] = {}
        for own, given in zip(self.inputs, tensors, strict=True):
            known[(id(own), 0)] = given

        def swapped(tensor: Tensor) -> Tensor:
            return known[(id(tensor), 0)] if tensor.call is None else known[(id(tensor.call), tensor.index)]

        for call in self.calls:
            arguments = {key: swap(value, swapped) for key, value in call.arguments.items()}
            results = self.maker(call)(*map(swapped, call.inputs), **arguments)
            results = results if isinstance(results, tuple) else (results,)
            made = results[0].call
            if made is not None:
                CALLED_BY[made] = CALLED_BY.get(call) or owner
            known |= {(id(call), index): result for index, result in enumerate(results)}
        return [swapped(tensor) for tensor in self.outputs]


def flat(value: Any) -> list[Tensor]:
    """The tensors of one, a list or a mapping, which Keras sorts by key."""
    items = [value[key] for key in sorted(value)] if isinstance(value, Mapping) else value
    return list(items) if isinstance(items, (list, tuple)) else [items]


def check_keys(given: Any, names: Sequence[str], what: str) -> None:
    """Raises SpecError where a dict's key is another name than its tensor's layer has."""
    for key, name in zip(sorted(given), names, strict=True) if isinstance(given, Mapping) else ():
        if key != name:
            raise SpecError(f"the {what} {key!r} is made by a layer named {name!r}.", where="keras.Model",
                            hint=f"Give that layer name={key!r}.")


def together(outputs: Sequence[Any], keys: Sequence[str] | None) -> Any:
    """A model's outputs as Keras gives them: one alone, a list, or a dict where the model was made with one."""
    if keys is not None:
        return dict(zip(keys, outputs, strict=True))
    return outputs[0] if len(outputs) == 1 else list(outputs)


def operation(call: Call) -> Layer:
    """The layer behind `x + y` and its like. Keras has an operation there, which `model.layers` does not list."""
    layer = MADE_BY[call] = in_front_of(call.layer)
    layer.is_operation = True
    return layer


def swap(value: Any, swapped: Any) -> Any:
    if isinstance(value, Tensor):
        return swapped(value)
    return [swap(item, swapped) for item in value] if isinstance(value, (list, tuple)) else value


def parents(node: Call | Tensor, inputs: Sequence[Tensor]) -> list[Call | Tensor]:
    """What a call reads, in order: other calls, and inputs by their tensors."""
    if isinstance(node, Tensor):
        return []
    tensors = [*node.inputs, *(t for value in node.arguments.values() for t in tensors_in(value))]
    return [tensor if tensor.call is None else tensor.call for tensor in tensors]


def tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for item in value for t in tensors_in(item)] if isinstance(value, (list, tuple)) else []


def walk_back(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> tuple[list[Any], list[Any]]:
    """(calls and inputs, each after what it reads; the same as first met): Keras's depth-first search."""
    order: list[Any] = []
    met: list[Any] = []
    state: dict[int, str] = {}
    for output in outputs:
        stack: list[Any] = [output if output.call is None else output.call]
        while stack:
            node = stack[-1]
            if state.get(id(node)) == "done":
                stack.pop()
                continue
            if id(node) not in state:
                state[id(node)] = "open"
                met.append(node)
            waiting = [before for before in parents(node, inputs) if state.get(id(before)) != "done"]
            if waiting:
                stack.append(waiting[0])
                continue
            state[id(node)] = "done"
            order.append(node)
            stack.pop()
    return order, met


def calls_behind(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Call]:
    """The calls between inputs and outputs, each after what it reads."""
    return [node for node in walk_back(outputs, inputs)[0] if isinstance(node, Call)]
