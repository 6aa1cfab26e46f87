"""The dtype of every tensor of a model, as far as the spec alone tells; "float32" is the network's own type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.spec.notation import KEEP_INTEGERS
from harness.spec.operations.base import Operation

if TYPE_CHECKING:
    from harness.spec.model import ModelSpec


def tensor_dtypes(spec: ModelSpec) -> dict[str, str]:
    """Reference -> dtype of every input and every output of a call."""
    found = {item.name: "float32" if item.dtype.startswith("float") else item.dtype for item in spec.inputs}
    for node in spec.nodes:
        layer = spec.layers[node.layer]
        if isinstance(layer, Operation):
            feeds = tuple(found[reference] for reference in node.inputs)
            result = layer.call_dtype(feeds, spec.input_shapes(node), node.arguments)
        else:
            keeps = type(layer).__name__ in KEEP_INTEGERS
            result = found[node.inputs[0]] if keeps else "float32"
        index = 0
        while (reference := node.name if index == 0 else f"{node.name}:{index}") in spec.tensors:
            found[reference] = result[index] if isinstance(result, tuple) else result
            index += 1
    return found


def meets_other_types(spec: ModelSpec) -> bool:
    """Whether an operation hands a layer something else than values of the network's type (or truths)."""
    if not any(isinstance(layer, Operation) for layer in spec.layers.values()):
        return False
    dtypes = tensor_dtypes(spec)
    return any(dtypes[reference] not in ("float32", "bool") for node in spec.nodes
               if not isinstance(spec.layers[node.layer], Operation) for reference in node.inputs)
