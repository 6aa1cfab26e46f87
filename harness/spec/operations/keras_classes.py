"""Operations from the configs of Keras's functional models, and the Keras class of each.

    {"module": "keras.src.ops.numpy", "class_name": "Mean", "config": {"name": "mean", "axis": 1, "keepdims": false},
     "registered_name": "Mean", "inbound_nodes": [{"args": [...], "kwargs": {...}}]}

A class's own arguments stand in its config, its operands (tensors and constants alike) in the arguments of the call.
Keras writes no config at all (keras/src/ops/operation.py: get_config) where an argument is neither number, text nor a
list of such, so that no saved model holds one that is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import as_meant
from harness.spec.operations import OPERATIONS, REFUSED
from harness.spec.operations.base import Declared, Operation

# Arguments of Keras's classes that say nothing here.
SILENT = frozenset({"name", "trainable"})
# Class -> arguments that its constructor has for other packages' spelling: (Keras's name, ours).
RENAMED = {"MultiHot": {"num_tokens": "num_classes"}}

# Keras takes tensors alone for these: their numbers went through an array of float32.
OF_ARRAYS = frozenset({"heaviside", "hypot"})

BY_CLASS: dict[str, Declared] = {item.keras_class: item for item in OPERATIONS.values()}


def find_class(module: str, class_name: str) -> Declared:
    """What is declared for a class of Keras. Raises SpecError, with the reason where it is refused."""
    found = BY_CLASS.get(class_name)
    if found is not None and (not module or module.rpartition(".")[2] in ("ops", "activations", found.module)):
        return found
    for function, reason in REFUSED.items():
        if function.rpartition(".")[2].replace("_", "") == class_name.lower():
            raise SpecError(f"keras.ops.{function} is not supported: {reason}.")
    raise SpecError(f"{module}.{class_name} is no operation of the vocabulary.",
                    hint=did_you_mean(class_name, BY_CLASS))


def operation_from_keras(
    module: str, class_name: str, config: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Operation, dict[str, Any]]:
    """(operation, its operands by name) of one call.

    config, args, kwargs: as Keras wrote them, decoded to plain values; tensors among them may be any object, and come
    back where they were. Raises SpecError for what the vocabulary does not have.
    """
    declared = find_class(module, class_name)
    renamed = RENAMED.get(class_name, {})
    settings = {renamed.get(key, key): value for key, value in config.items() if key not in SILENT}
    if class_name == "ExtractPatches" and settings.get("strides") == settings.get("size"):
        del settings["strides"]  # Keras writes its default out
    operands: dict[str, Any] = {}
    known = declared.operands
    if len(args) > len(known) and not (known and known[-1].variadic):
        raise SpecError(f"keras.{declared.canonical_name} takes {len(known)} operands, got {len(args)}.")
    for index, item in enumerate(known):
        if item.variadic:
            operands[item.name] = list(args[index:])
        elif index < len(args):
            operands[item.name] = args[index]
    for key, value in kwargs.items():
        # Keras's classes take further arguments by name in the call too (constant_values of pad).
        (operands if key in {item.name for item in known} else settings)[key] = value
    if declared.function in OF_ARRAYS:
        operands = {key: as_meant(value) for key, value in operands.items()}
    name = config.get("name")
    operation = declared.operation(name=name if isinstance(name, str) else None, **settings)
    return operation, {key: value for key, value in operands.items() if value is not None}
