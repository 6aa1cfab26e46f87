"""The calls of a Keras config, made in the notation: of layers, and of operations on tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError
from harness.spec import operators
from harness.spec.keras_config.definition import Part
from harness.spec.keras_config.values import plain_value
from harness.spec.layers.base import Layer
from harness.spec.notation import Tensor

# What Keras's layers call their first argument.
FIRST = ("inputs", "sequences", "sequence", "x", "input", "data")


def call_layer(layer: Layer, args: list[Any], kwargs: Mapping[str, Any], masked: bool) -> list[Tensor]:
    """layer(*args, **kwargs). masked: Keras wrote the mask of the input into the call.

    Raises SpecError for arguments that the layer does not take here.
    """
    named = dict(kwargs)
    while args and args[-1] is None:
        args = args[:-1]
    if not args:
        first = next((name for name in FIRST if name in named), None)
        args = [named.pop(first)] if first else []
    training = named.pop("training", None)
    # Keras writes its default, training=True, into every call of an image layer; predict overrides it.
    written = getattr(type(layer), "trains_by_default", False)
    if training and not written and (layer.stochastic or type(layer).__name__ == "BatchNormalization"):
        raise SpecError("it is called with training=True, which would hold in prediction too.",
                        hint="Call it without; fit and predict say whether they train.")
    if "mask" in named and not _takes_states(layer):
        raise SpecError("it is called with a mask that was computed by hand.",
                        hint="Let a Masking layer, or an Embedding with mask_zero, make the mask.")
    if named and type(layer).check_call is Layer.check_call:
        unknown = [key for key in named if key not in layer.call_arguments]
        if unknown:
            raise SpecError(f"it is called with {unknown[0]}=..., which is not supported.")
    for item in args:
        if not _holds_tensors(item):
            raise SpecError(f"it is called with {str(item)[:60]!r}, which is no tensor, without a name.")
    if masked and not any(operators.carries_mask(tensor) for item in args for tensor in _flat(item)):
        raise SpecError("it is called with the mask of another tensor than its input.",
                        hint="Let the mask follow from the layers before.")
    if _takes_states(layer):
        # Keras 2 writes the first states behind the sequences.
        sequences, *states = _flat(args)
        args = [sequences]
        if states:
            named["initial_state"] = states
    result = layer(*args, **named)
    return list(result) if isinstance(result, tuple) else [result]


def call_operation(part: Part, args: list[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """A function of keras.ops in the graph. Raises SpecError for one that the vocabulary does not have."""
    from harness.spec.operations.calling import call_operation as call
    from harness.spec.operations.keras_classes import operation_from_keras

    config = part.item["config"]
    config = {key: plain_value(value) for key, value in config.items()} if isinstance(config, Mapping) else {}
    module = part.item.get("module")
    operation, operands = operation_from_keras(module if isinstance(module, str) else "", part.class_name,
                                               {**config, "name": part.label}, args, kwargs)
    result = call(operation, (), operands)
    return list(result) if isinstance(result, tuple) else [result]


def _takes_states(layer: Layer) -> bool:
    """Whether it is a recurrent layer, or two of them."""
    return "return_sequences" in type(layer).model_fields or layer.canonical_name() == "Bidirectional"


def _holds_tensors(item: Any) -> bool:
    if isinstance(item, (list, tuple)):
        return bool(item) and all(_holds_tensors(part) for part in item)
    return isinstance(item, Tensor)


def _flat(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in _flat(item)] if isinstance(value, (list, tuple)) else []
