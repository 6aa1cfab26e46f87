"""The shapes that come out of operations that move, join and cut values."""

from __future__ import annotations

import math
from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.operations.dtypes import Bound
from harness.spec.operations.shapes import broadcast, place, places, shape_of, size


def reshape(bound: Bound, operation: Any) -> Shape:
    """newshape: -1 for what is left over."""
    shape = shape_of(bound)
    wanted: Shape = operation.newshape
    if sum(item in (-1, None) for item in wanted) > 1 or any(item is not None and item < -1 for item in wanted):
        raise SpecError(f"a shape holds sizes, and -1 (or one that only the call knows) at most once, got {wanted}.")
    total, fixed = size(shape), math.prod(item for item in wanted if item not in (-1, None))  # type: ignore[misc]
    if total is None:
        return tuple(None if item == -1 else item for item in wanted)
    if -1 in wanted:
        if not fixed or total % fixed:
            raise SpecError(f"{total} values of the shape {shape} do not fill {wanted}.")
        return tuple(total // fixed if item == -1 else item for item in wanted)
    if total != fixed:
        raise SpecError(f"{total} values of the shape {shape} do not fill {wanted}.")
    return wanted


def transpose(bound: Bound, operation: Any) -> Shape:
    shape, axes = shape_of(bound), operation.axes
    if axes is None:
        return shape[::-1]
    if not isinstance(axes, tuple) or sorted(places(axes, len(shape))) != list(range(len(shape))):
        raise SpecError(f"axes={axes} is no order of the {len(shape)} axes of {shape}.")
    return tuple(shape[axis] for axis in axes)


def expand_dims(bound: Bound, operation: Any) -> Shape:
    shape = list(shape_of(bound))
    count = len(operation.axis) if isinstance(operation.axis, tuple) else 1
    rank = len(shape) + count
    new = places(operation.axis, rank)
    rest = iter(shape)
    return tuple(1 if index in new else next(rest) for index in range(rank))


def squeeze(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if operation.axis is None:
        return tuple(item for item in shape if item != 1)
    gone = places(operation.axis, len(shape))
    if any(shape[axis] not in (1, None) for axis in gone):
        raise SpecError(f"axis={operation.axis} of {shape} is not of size 1.")
    return tuple(item for index, item in enumerate(shape) if index not in gone)


def swapaxes(bound: Bound, operation: Any) -> Shape:
    shape = list(shape_of(bound))
    first, second = place(operation.axis1, len(shape)), place(operation.axis2, len(shape))
    shape[first], shape[second] = shape[second], shape[first]
    return tuple(shape)


def move_order(rank: int, source: Any, destination: Any) -> list[int]:
    """The axes in their new order."""
    froms, tos = places(source, rank), places(destination, rank)
    if len(froms) != len(tos):
        raise SpecError(f"source={source} and destination={destination} are of different length.")
    order = [axis for axis in range(rank) if axis not in froms]
    for target, origin in sorted(zip(tos, froms, strict=True)):
        order.insert(target, origin)
    return order


def moveaxis(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    return tuple(shape[axis] for axis in move_order(len(shape), operation.source, operation.destination))


def rot90(bound: Bound, operation: Any) -> Shape:
    shape = list(shape_of(bound))
    axes = places(operation.axes, len(shape))
    if len(axes) != 2:
        raise SpecError(f"axes are two, got {operation.axes}.")
    if operation.k % 2 == 0:
        raise SpecError(f"Keras states a wrong shape for k={operation.k}.", hint="Use flip.")
    shape[axes[0]], shape[axes[1]] = shape[axes[1]], shape[axes[0]]
    return tuple(shape)


def ravel(bound: Bound, operation: Any) -> Shape:
    return (size(shape_of(bound)),)


def repeat(bound: Bound, operation: Any) -> Shape:
    shape, repeats = shape_of(bound), operation.repeats
    counts = list(repeats) if isinstance(repeats, tuple) else [repeats]
    if not all(isinstance(item, int) and item >= 0 for item in counts):
        raise SpecError(f"repeats are whole numbers >= 0, got {repeats}.")
    if operation.axis is None:
        shape = (size(shape),)
    axis = 0 if operation.axis is None else place(operation.axis, len(shape))
    length = shape[axis]
    if len(counts) == 1:
        total = None if length is None else length * counts[0]
    elif length not in (None, len(counts)):
        raise SpecError(f"{len(counts)} repeats do not fit axis {axis} of {shape}.")
    else:
        total = sum(counts)
    return (*shape[:axis], total, *shape[axis + 1:])


def tile(bound: Bound, operation: Any) -> Shape:
    shape, repeats = shape_of(bound), operation.repeats
    repeats = repeats if isinstance(repeats, tuple) else (repeats,)
    rank = max(len(shape), len(repeats))
    full = (1,) * (rank - len(shape)) + shape
    counts = (1,) * (rank - len(repeats)) + repeats
    return tuple(None if item is None else item * count for item, count in zip(full, counts, strict=True))


def pad_pairs(pad_width: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) of every axis."""
    pairs = pad_width if isinstance(pad_width, tuple) else ()
    if len(pairs) != rank or any(not isinstance(pair, tuple) or len(pair) != 2 for pair in pairs):
        raise SpecError(f"pad_width is a pair (before, after) for each of {rank} dimensions, got {pad_width}.",
                        hint="Keras's shorter forms fail in a model.")
    return pairs


def pad(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    pairs = pad_pairs(operation.pad_width, len(shape))
    value = bound["constant_values"]
    if value is not None and (value.index is not None or value.shape):
        raise SpecError("constant_values is a number.")
    if operation.mode != "constant":
        if value is not None:
            raise SpecError(f"constant_values are for mode='constant', got mode={operation.mode!r}.")
        short = 1 if operation.mode == "reflect" else 0
        for item, pair in zip(shape, pairs, strict=True):
            if item is not None and max(pair) > item - short:
                raise SpecError(f"mode={operation.mode!r} cannot pad {max(pair)} onto an axis of {item}.")
    return tuple(None if item is None else item + sum(pair) for item, pair in zip(shape, pairs, strict=True))


def broadcast_to(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if None in operation.shape or broadcast(shape, operation.shape) != operation.shape:
        raise SpecError(f"{shape} cannot be broadcast to {operation.shape}.")
    return tuple(operation.shape)


def diag(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if len(shape) == 1:
        return (None if shape[0] is None else shape[0] + abs(operation.k),) * 2
    if len(shape) == 2:
        return _diagonal(shape, 0, 1, operation.k)
    raise SpecError(f"expected 1 or 2 dimensions, got {shape}.")


def diagflat(bound: Bound, operation: Any) -> Shape:
    total = size(shape_of(bound))
    return (None if total is None else total + abs(operation.k),) * 2


def _diagonal(shape: Shape, axis1: int, axis2: int, offset: int) -> Shape:
    if len(shape) < 2:
        raise SpecError(f"expected at least 2 dimensions, got {shape}.")
    first, second = places((axis1, axis2), len(shape))
    rest = tuple(item for index, item in enumerate(shape) if index not in (first, second))
    rows, columns = shape[first], shape[second]
    if rows is None or columns is None:
        return (*rest, None)
    return (*rest, max(min(rows + min(offset, 0), columns - max(offset, 0)), 0))


def diagonal(bound: Bound, operation: Any) -> Shape:
    return _diagonal(shape_of(bound), operation.axis1, operation.axis2, operation.offset)


def trace(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    first, second = places((operation.axis1, operation.axis2), len(shape))
    rows, columns, k = shape[first], shape[second], operation.offset
    # backend/tensorflow/numpy.py: eye, which goes wrong for some offsets of matrices that are no squares.
    if rows is not None and columns is not None and k and (
            min(columns - k, rows + k) + max(-k, 0) + max(rows - columns + k, 0) != rows
            or min(columns - k, rows + k) + max(k, 0) + max(columns - rows - k, 0) != columns):
        raise SpecError(f"Keras's TensorFlow backend fails for offset={k} of {rows} x {columns}.",
                        hint="Use diagonal and sum.")
    return diagonal(bound, operation)[:-1]


def triangle(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if len(shape) < 2:
        raise SpecError(f"expected at least 2 dimensions, got {shape}.")
    lower = operation.declared.function == "tril"
    size_, k = (shape[-1], operation.k) if lower else (shape[-2], -operation.k)
    if size_ is not None and k > size_:
        raise SpecError(f"k={operation.k} lies outside of {shape}, which TensorFlow refuses.")
    return shape


def vander(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if len(shape) != 1:
        raise SpecError(f"expected 1 dimension, got {shape}.")
    return (*shape, operation.N if operation.N is not None else shape[0])
