"""The shapes that come out of operations that join tensors and cut them."""

from __future__ import annotations

import itertools
from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.operations.dtypes import Bound
from harness.spec.operations.shapes import place, shape_of, size


def joined(shapes: list[Shape], axis: int) -> Shape:
    rank = len(shapes[0])
    axis = place(axis, rank)
    for shape in shapes[1:]:
        others = [(a, b) for index, (a, b) in enumerate(zip(shapes[0], shape, strict=False)) if index != axis]
        if len(shape) != rank or any(a != b for a, b in others if a is not None and b is not None):
            raise SpecError(f"shapes must agree except along axis {axis}, got {', '.join(map(str, shapes))}.")
    sizes = [shape[axis] for shape in shapes]
    total = None if None in sizes else sum(item for item in sizes if item is not None)
    return (*shapes[0][:axis], total, *shapes[0][axis + 1:])


def concatenate(bound: Bound, operation: Any) -> Shape:
    return joined([item.shape for item in bound["xs"]], operation.axis)


def append(bound: Bound, operation: Any) -> Shape:
    shapes = [bound["x1"].shape, bound["x2"].shape]
    if operation.axis is None:
        sizes = [size(shape) for shape in shapes]
        return (None if None in sizes else sum(item for item in sizes if item is not None),)
    return joined(shapes, operation.axis)


def hstack(bound: Bound, operation: Any) -> Shape:
    shapes = [item.shape for item in bound["xs"]]
    if len(shapes[0]) < 2:
        raise SpecError("Keras cannot tell the shape of vectors joined by hstack.", hint="Use concatenate.")
    return joined(shapes, 1)


def vstack(bound: Bound, operation: Any) -> Shape:
    if any(len(item.shape) < 2 for item in bound["xs"]):
        raise SpecError("Keras's TensorFlow backend joins vectors end to end instead of stacking them.",
                        hint="Use stack.")
    return joined([item.shape for item in bound["xs"]], 0)


def dstack(bound: Bound, operation: Any) -> Shape:
    return joined([(1, *item.shape, 1) if len(item.shape) == 1 else (*item.shape, 1) if len(item.shape) == 2
                   else item.shape for item in bound["xs"]], 2)


def stack(bound: Bound, operation: Any) -> Shape:
    shapes = [item.shape for item in bound["x"]]
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        raise SpecError(f"the shapes to be stacked must be equal, got {', '.join(map(str, shapes))}.")
    axis = place(operation.axis, len(shapes[0]) + 1)
    joined([(1, *shape) for shape in shapes], 0)
    return (*shapes[0][:axis], len(shapes), *shapes[0][axis:])


def cut(shape: Shape, sections: Any, axis: int, even: bool = True) -> tuple[Shape, ...]:
    """The shapes of the pieces: a number of sections, or the indices where to cut."""
    axis = place(axis, len(shape))
    length = shape[axis]
    if isinstance(sections, int):
        if sections < 1 or (even and length is not None and length % sections):
            raise SpecError(f"axis {axis} of {shape} cannot be cut into {sections} equal parts.")
        if length is None:
            if not even:
                raise SpecError(f"the size of axis {axis} must be known.")
            lengths: list[int | None] = [None] * sections
        else:
            lengths = [length // sections + (index < length % sections) for index in range(sections)]
    elif length is None:
        raise SpecError(f"the size of axis {axis} must be known to cut it at {sections}.")
    else:
        lengths = _lengths(length, list(sections))
    return tuple((*shape[:axis], item, *shape[axis + 1:]) for item in lengths)


def _lengths(length: int, bounds: list[int]) -> list[int | None]:
    pairs = list(itertools.pairwise([0, *bounds, length]))
    if any(later < earlier for earlier, later in pairs):
        raise SpecError(f"the places to cut at rise from 0 to {length}, got {bounds}.")
    return [later - earlier for earlier, later in pairs]


def split(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    return cut(shape_of(bound), operation.indices_or_sections, operation.axis)


def array_split(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    if not isinstance(operation.indices_or_sections, int):
        raise SpecError("array_split takes a number of sections.", hint="split takes the places to cut at.")
    return cut(shape_of(bound), operation.indices_or_sections, operation.axis, even=False)


def hsplit(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    shape = shape_of(bound)
    return cut(shape, operation.indices_or_sections, 0 if len(shape) == 1 else 1)


def vsplit(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    return cut(shape_of(bound), operation.indices_or_sections, 0)


def dsplit(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    return cut(shape_of(bound), operation.indices_or_sections, 2)


def unstack(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    shape = shape_of(bound)
    axis = place(operation.axis, len(shape))
    length = operation.num or shape[axis]
    if length is None:
        raise SpecError(f"the size of axis {axis} must be known.", hint="Give num=.")
    if shape[axis] not in (None, length):
        raise SpecError(f"num={operation.num} is not the size {shape[axis]} of axis {axis}.")
    return ((*shape[:axis], *shape[axis + 1:]),) * length


def meshgrid(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    sizes = [size(item.shape) for item in bound["x"]]
    if len(sizes) > 1 and operation.indexing == "xy":
        sizes[0], sizes[1] = sizes[1], sizes[0]
    return (tuple(sizes),) * len(sizes)
