"""Masks among the arguments of calls that Keras put there by itself.

When a functional model is made, Keras computes the masks of its tensors with operations (NotEqual, Any), and
writes them into the calls of layers that take a `mask` (layer.py: "Populate mask argument(s)"). The spec needs none
of this: there a mask follows from the layers. A mask that somebody computed on their own is another thing.
"""

from __future__ import annotations

from typing import Any

from harness.spec.keras_config.definition import Definition, Part
from harness.spec.keras_config.references import CallConfig, TensorAt, tensors_of

# What Keras joins masks with (compute_mask of Masking, Concatenate and the other merges), and what it makes of a tensor
# without a mask.
JOINING = frozenset({"All", "Any", "Concatenate", "ExpandDims", "LogicalAnd", "LogicalOr"})
SHAPES = frozenset({"OnesLike", "ZerosLike"})
# How many operations lie at most between a mask and the layers it comes from.
MOST = 200


def is_implied(definition: Definition, mask: Any) -> bool:
    """Whether a `mask` argument is what the model's Masking and Embedding layers make, and operations on that."""
    tensors = tensors_of(mask)
    waiting, seen = list(tensors), set()
    while waiting:
        tensor = waiting.pop()
        if tensor.key in seen:
            continue
        seen.add(tensor.key)
        part = definition.parts.get(tensor.layer)
        if part is None or part.kind != "operation" or tensor.call >= len(part.calls) or len(seen) > MOST:
            return False
        call = part.calls[tensor.call]
        if part.class_name in SHAPES or (part.class_name == "NotEqual" and _is_source(definition, call)):
            continue
        if part.class_name not in JOINING:
            return False
        waiting.extend(item for value in (*call.args, *call.kwargs.values()) for item in tensors_of(value))
    return bool(tensors)


def _is_source(definition: Definition, call: CallConfig) -> bool:
    """NotEqual(x, value), where a Masking of that value, or an Embedding with mask_zero, reads the same x."""
    if len(call.args) != 2 or not isinstance(call.args[0], TensorAt):
        return False
    tensor, value = call.args
    return any(_makes_mask(part, value) and _reads(part, tensor) for part in definition.parts.values())


def _makes_mask(part: Part, value: Any) -> bool:
    if part.layer is None:
        return False
    if part.class_name == "Masking":
        return bool(getattr(part.layer, "mask_value", None) == value)
    return part.class_name == "Embedding" and bool(getattr(part.layer, "mask_zero", False)) and value == 0


def _reads(part: Part, tensor: TensorAt) -> bool:
    return any(
        isinstance(item, TensorAt) and (item.key, item.index) == (tensor.key, tensor.index)
        for call in part.calls for item in call.args[:1]
    )
