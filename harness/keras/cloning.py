"""keras.models.clone_model: the same layers with weights of their own."""

from __future__ import annotations

from typing import Any

from harness.errors import SpecError
from harness.keras.adapting import Adapting
from harness.keras.graph import CALLED_BY
from harness.keras.layers import in_front_of
from harness.keras.model import Model
from harness.keras.sequential import Sequential
from harness.spec.model import copy_layer
from harness.spec.notation import Input, Tensor


def clone_model(model: Model) -> Model:
    """The same layers with weights of their own, drawn anew."""
    if isinstance(model, Sequential):
        return Sequential([_clone(item) for item in model._items], name=model._name)
    copies: dict[int, Any] = {}
    graph = model.graph
    known: dict[tuple[int, int], Tensor] = {
        (id(tensor), 0): Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in graph.inputs
    }

    def swapped(tensor: Tensor) -> Tensor:
        return known[(id(tensor if tensor.call is None else tensor.call), tensor.index)]

    if any(call in CALLED_BY for call in graph.calls):
        raise SpecError("a model that has models inside it cannot be cloned.", where=model.name)
    for call in graph.calls:
        layer = copies.setdefault(id(call.layer), _clone(graph.maker(call)))
        results = layer(*map(swapped, call.inputs), **call.arguments)
        results = results if isinstance(results, tuple) else (results,)
        known |= {(id(call), index): result for index, result in enumerate(results)}
    inputs = [known[(id(tensor), 0)] for tensor in graph.inputs]
    return Model(inputs, [swapped(tensor) for tensor in graph.outputs], name=model._name)


def _clone(item: Any) -> Any:
    if isinstance(item, Tensor):
        return Input(item.shape[1:], dtype=item.dtype, name=item.name)
    if isinstance(item, Model):
        return clone_model(item)
    if isinstance(item, Adapting):
        item.check_learned()
    copy = in_front_of(copy_layer(item.spec))
    copy.trainable, copy.is_operation = item.trainable, item.is_operation
    return copy
