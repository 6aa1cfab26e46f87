"""The states of recurrent layers: lists of tensors, nested by cell where there are several cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Layer, Shape


def check_states(layer: Layer, name: str, given: Any, shapes: Sequence[Shape]) -> None:
    """Raises SpecError unless `given` holds a tensor for each of the states, of its shape as far as that is known."""
    kind, states = type(layer).__name__, flat(given)
    if len(states) != len(shapes):
        raise SpecError(f"{kind} has {len(shapes)} state(s), got {len(states)} as {name}.")
    for state, expected in zip(states, shapes, strict=True):
        shape = getattr(state, "shape", None)
        if shape is not None and tuple(shape[1:]) != tuple(expected[1:]):
            wanted = ", ".join(["batch", *map(str, expected[1:])])
            raise SpecError(f"{kind} expects a state of shape ({wanted}) in {name}, got {shape}.")


def flat(value: Any) -> list[Any]:
    """The items of lists in lists, in order."""
    return [item for part in value for item in flat(part)] if isinstance(value, (list, tuple)) else [value]


def nested_like(pattern: Any, items: Sequence[Any]) -> Any:
    """The items in the lists of the pattern."""
    remaining = iter(items)

    def pack(part: Any) -> Any:
        return [pack(item) for item in part] if isinstance(part, (list, tuple)) else next(remaining)

    return pack(pattern)


def state_tensors(arguments: Mapping[str, Any]) -> range:
    """The numbers of the tensors of initial_state among all that a call reads; the sequences are number 0."""
    if "initial_state" not in arguments:
        return range(0)
    # References stand in the order of the arguments; a mask is one tensor.
    before = sum(name == "mask" for name in list(arguments)[:list(arguments).index("initial_state")])
    return range(1 + before, 1 + before + len(flat(arguments["initial_state"])))


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(size is None or isinstance(size, int) for size in value)


def flat_shapes(states: Sequence[Any]) -> list[Shape]:
    """The shapes of all states, out of the lists in which Keras nests them by cell."""
    return [shape for part in states for shape in ([part] if _is_shape(part) else part)]


def places(states: Sequence[Any]) -> list[Any]:
    """The lists of states, with a None for every shape."""
    return [None if _is_shape(part) else [None] * len(part) for part in states]
