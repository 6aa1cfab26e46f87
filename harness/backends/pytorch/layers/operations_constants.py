"""The constants among the operands of an operation, as its PyTorch module takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.backends.pytorch.activations import r32
from harness.spec.layers.base import Shape
from harness.spec.operations.operands import Operand
from harness.spec.operations.shapes import places

Bound = Mapping[str, Any]


def over_axes(axis: Any, shapes: tuple[Shape, ...]) -> tuple[int, ...] | None:
    return None if axis is None else places(axis, len(shapes[0]))


def flat(bound: Bound) -> list[Operand | None]:
    return [one for item in bound.values() for one in (item if isinstance(item, list) else [item])]


def constants(bound: Bound, without: tuple[str, ...] = ()) -> dict[int, Any]:
    """Place among the operands -> constant; what is left out at the end is left out here too."""
    operands = flat({name: item for name, item in bound.items() if name not in without})
    while operands and operands[-1] is None:
        operands.pop()
    return {index: None if item is None else constant(item.value) for index, item in enumerate(operands)
            if item is None or item.index is None}


def constant(value: Any) -> Any:
    """A number, or an array with its dtype; the numbers of a list are float32 to TensorFlow."""
    if isinstance(value, Mapping):
        return {"array": tuples(value["array"]), "dtype": value["dtype"]}
    if isinstance(value, (list, tuple)):
        kinds = {type(item) for item in _leaves(value)}
        dtype = "float32" if float in kinds or not kinds else "int32" if int in kinds else "bool"
        return {"array": tuples(value, rounded=dtype == "float32"), "dtype": dtype}
    return value


def tuples(value: Any, rounded: bool = False) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(tuples(item, rounded) for item in value)
    return r32(float(value)) if rounded else value


def _leaves(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, (list, tuple)) else [value]


def fixed_of(bound: Bound, *without: str) -> dict[int, Any] | None:
    return constants(bound, without) or None


def value_of(operand: Operand) -> Any:
    """The plain value of a constant operand."""
    value = operand.value["array"] if isinstance(operand.value, Mapping) else operand.value
    return tuples(value)
