"""Operands that are no tensors of the graph: numbers, nested lists, arrays; and where the tensors stand among them.

    0.5                                         a number, which takes the type of what it meets
    [1, 2, 3]                                   nested lists: int32, or the network's floating-point type
    {"array": [[1, 2]], "dtype": "int32"}       an array of its own type
    {"input": 1}                                the second tensor of the call
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Shape


@dataclass(frozen=True)
class Operand:
    """A tensor of the call (index: which of its inputs), or a constant (value; index None)."""

    shape: Shape
    dtype: str
    index: int | None = None
    value: Any = None


def is_marker(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"input"}


def placed(value: Any) -> set[int]:
    """The inputs that markers inside a value stand for."""
    if is_marker(value):
        return {int(value["input"])}
    if isinstance(value, (list, tuple)):
        return {index for item in value for index in placed(item)}
    return set()


def constant(value: Any, kind: str, tensors: list[Any], what: str) -> Any:
    """The operand behind what stands in a call's arguments. Raises SpecError for what is none."""
    if kind == "K":
        return value
    if value is None:
        return None
    if is_marker(value):
        index = value["input"]
        if not isinstance(index, int) or not 0 <= index < len(tensors):
            raise SpecError(f"{what}: there is no input {index!r}.")
        return tensors[index]
    if kind == "L":
        if not isinstance(value, (list, tuple)):
            raise SpecError(f"{what}: expected a list of tensors, got {value!r}.")
        return [constant(item, "T", tensors, what) for item in value]
    if isinstance(value, bool):
        return Operand((), "bool", value=value)
    if isinstance(value, (int, float)):
        return Operand((), "int" if isinstance(value, int) else "float", value=value)
    if isinstance(value, (list, tuple)):
        shape, kinds = _nested(value, what)
        dtype = "float32" if "float" in kinds else "int32" if "int" in kinds else "bool" if kinds else "float32"
        return Operand(shape, dtype, value=value)
    if isinstance(value, Mapping) and set(value) == {"array", "dtype"}:
        return Operand(_nested(value["array"], what)[0], str(value["dtype"]), value=value)
    raise SpecError(f"{what}: expected a number or nested lists of numbers, got {value!r}.")


def _nested(value: Any, what: str) -> tuple[Shape, set[str]]:
    """(shape, kinds of numbers) of nested lists."""
    if isinstance(value, (int, float)):
        return (), {"bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "float"}
    if not isinstance(value, (list, tuple)):
        raise SpecError(f"{what}: expected nested lists of numbers, got {value!r}.")
    found = [_nested(item, what) for item in value]
    if len({shape for shape, _ in found}) > 1:
        raise SpecError(f"{what}: the nested lists are of uneven length.")
    kinds = {kind for _, inner in found for kind in inner}
    return (len(value), *(found[0][0] if found else ())), kinds
