"""The shapes that come out of picking: by keys, by indices, by conditions."""

from __future__ import annotations

from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.operations.dtypes import Bound
from harness.spec.operations.shapes import broadcast, elementwise, place, shape_of, size


def key_items(key: list[Any], rank: int) -> list[Any]:
    """The key with its ellipsis written out as full slices: one item per axis, and None for new axes."""
    dots = sum(item == "..." for item in key)
    if dots > 1:
        raise SpecError("'...' may stand only once in a key.")
    full = list(key) if dots else [*key, "..."]
    at = full.index("...")
    missing = rank - sum(item is not None for item in full) + 1
    if missing < 0:
        raise SpecError(f"too many indices ({len(key)}) for {rank} dimensions.")
    return [*full[:at], *[{"slice": [None, None, None]}] * missing, *full[at + 1:]]


def get_item(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    result: list[int | None] = []
    left = iter(shape)
    for item in key_items(bound["key"], len(shape)):
        if item is None:
            result.append(1)
            continue
        length = next(left)
        if isinstance(item, dict):
            if item["slice"][2] == 0:
                raise SpecError("the step of a slice cannot be 0.")
            result.append(None if length is None else len(range(*slice(*item["slice"]).indices(length))))
        elif not isinstance(item, int):
            raise SpecError(f"an index is a whole number, a slice, None or '...', got {item!r}.")
        elif length is not None and not -length <= item < length:
            raise SpecError(f"the index {item} is outside of an axis of {length}.")
    return tuple(result)


def where(bound: Bound, operation: Any) -> Shape:
    if bound["x1"] is None or bound["x2"] is None:
        raise SpecError("where needs both values: without them its output has a size that depends on the data.")
    return elementwise(bound, operation)


def select(bound: Bound, operation: Any) -> Shape:
    if len(bound["condlist"]) != len(bound["choicelist"]):
        raise SpecError(f"as many conditions as choices are needed, got {len(bound['condlist'])} and "
                        f"{len(bound['choicelist'])}.")
    return elementwise(bound, operation)


def take(bound: Bound, operation: Any) -> Shape:
    shape, indices = bound["x"].shape, bound["indices"].shape
    if operation.axis is None:
        return tuple(indices)
    axis = place(operation.axis, len(shape))
    return (*shape[:axis], *indices, *shape[axis + 1:])


def take_along_axis(bound: Bound, operation: Any) -> Shape:
    shape, indices = bound["x"].shape, bound["indices"].shape
    if operation.axis is None:
        shape = (size(shape),)
    if len(shape) != len(indices):
        raise SpecError(f"x and indices must be of one rank, got {shape} and {indices}.")
    axis = 0 if operation.axis is None else place(operation.axis, len(shape))
    return broadcast((*shape[:axis], indices[axis], *shape[axis + 1:]), indices)


def numbers(operand: Any, what: str) -> list[int]:
    """A constant list of whole numbers. Raises SpecError for a tensor."""
    value = operand.value if operand is not None else None
    value = value["array"] if isinstance(value, dict) else value
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, int) for item in value):
        raise SpecError(f"{what} is a list of whole numbers.")
    return list(value)


def sliced(bound: Bound, operation: Any) -> Shape:
    """slice(inputs, start_indices, shape): a size of -1 reaches to the end."""
    shape, wanted = bound["inputs"].shape, operation.shape
    starts = numbers(bound["start_indices"], "start_indices")
    if len(starts) != len(shape) or len(wanted) != len(shape):
        raise SpecError(f"start_indices and shape need one number per dimension of {shape}.")
    result: list[int | None] = []
    for length, start, item in zip(shape, starts, wanted, strict=True):
        if item is None or start < 0:
            raise SpecError(f"starts are >= 0 and sizes are known or -1, got {starts} and {wanted}.")
        if length is not None and (start > length or (item >= 0 and start + item > length)):
            raise SpecError(f"[{start}, {start + item}) is outside of an axis of {length}.")
        result.append((None if length is None else length - start) if item == -1 else item)
    return tuple(result)


def scatter_update(bound: Bound, operation: Any) -> Shape:
    if operation.reduction not in (None, "add"):
        raise SpecError(f"reduction={operation.reduction!r} is not supported: equal values have no gradient alike.",
                        hint="Use 'add' or None.")
    return tuple(bound["inputs"].shape)


def scatter(bound: Bound, operation: Any) -> Shape:
    if None in operation.shape:
        raise SpecError(f"the shape must be known, got {operation.shape}.")
    return tuple(operation.shape)


def segments(bound: Bound, operation: Any) -> Shape:
    if operation.num_segments is None:
        raise SpecError("num_segments is needed: without it the output has a size that depends on the data.")
    if operation.sorted:
        raise SpecError("sorted=True cannot be given with num_segments (a rule of Keras's TensorFlow backend).")
    if len(bound["segment_ids"].shape) != 1:
        raise SpecError(f"segment_ids is of one dimension, got {bound['segment_ids'].shape}.")
    return (operation.num_segments, *bound["data"].shape[1:])


def one_hot(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if not -1 <= operation.axis < len(shape):
        raise SpecError(f"axis is -1, or from 0 to {len(shape) - 1}, got {operation.axis}.")
    axis = place(operation.axis, len(shape) + 1)
    return (*shape[:axis], operation.num_classes, *shape[axis:])


def multi_hot(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if operation.num_classes is None:
        raise SpecError("num_classes is needed.")
    if operation.axis != -1:
        raise SpecError("only axis=-1 is supported: Keras's output has another shape than it says for others.")
    if len(shape) == 1:
        return (operation.num_classes,)
    return (shape[0], *shape[2:], operation.num_classes)


def searched(bound: Bound, operation: Any) -> Shape:
    if len(bound["sorted_sequence"].shape) != 1 or len(bound["values"].shape) != 1:
        raise SpecError(f"the sequence and the values are of one dimension, got {bound['sorted_sequence'].shape} and "
                        f"{bound['values'].shape}.")
    return tuple(bound["values"].shape)
