"""The shapes that come out of operations, by kind of operation (keras/src/ops/operation_utils.py). None: not known.

Every rule takes (bound operands by name, operation) and returns one shape, or a tuple of them for several outputs.
"""

from __future__ import annotations

import math
from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.operations.dtypes import Bound
from harness.spec.operations.operands import Operand


def tensors(bound: Bound) -> list[Operand]:
    """All operands that are tensors or constants, lists opened, in order."""
    return [one for item in bound.values() for one in (item if isinstance(item, list) else [item])
            if isinstance(one, Operand)]


def shape_of(bound: Bound) -> Shape:
    """The shape of the first operand."""
    return tensors(bound)[0].shape


def place(axis: int, rank: int) -> int:
    """The axis counted from 0. Raises SpecError beyond the rank."""
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise SpecError(f"there is no axis {axis} in {rank} dimensions.")
    return axis % rank


def places(axis: Any, rank: int) -> tuple[int, ...]:
    """One axis or several, counted from 0; all of them for None. Raises SpecError for one that stands twice."""
    if axis is None:
        return tuple(range(rank))
    found = tuple(place(item, rank) for item in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(found)) < len(found):
        raise SpecError(f"an axis stands twice in {axis}.")
    return found


def size(shape: Shape) -> int | None:
    """The number of elements."""
    return None if None in shape else math.prod(item for item in shape if item is not None)


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's broadcasting. Raises SpecError where shapes do not fit."""
    rank = max((len(shape) for shape in shapes), default=0)
    full = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result: list[int | None] = []
    for sizes in zip(*full, strict=True):
        fixed = {item for item in sizes if item not in (1, None)}
        if len(fixed) > 1:
            raise SpecError(f"the shapes {', '.join(map(str, shapes))} do not fit together.",
                            hint="Sizes must be equal or 1, counted from the last axis.")
        result.append(fixed.pop() if fixed else None if None in sizes else 1)
    return tuple(result)


def same(bound: Bound, operation: Any) -> Shape:
    return shape_of(bound)


def scalar(bound: Bound, operation: Any) -> Shape:
    return ()


def elementwise(bound: Bound, operation: Any) -> Shape:
    return broadcast(*(item.shape for item in tensors(bound)))


def added(bound: Bound, operation: Any) -> Shape:
    """Addition; refused where Keras's TensorFlow backend adds along a wrong axis (backend/tensorflow/numpy.py: add:
    it takes a second operand with one dimension above 1 for a bias of the last axis, or else of axis 1)."""
    shape = elementwise(bound, operation)
    first, second = bound["x1"].shape, bound["x2"].shape
    large = [index for index, item in enumerate(second) if item is None or item > 1]
    if len(first) > 1 and len(large) == 1 and second[large[0]] is not None:
        length = second[large[0]]
        wanted = large[0] + len(first) - len(second)
        taken = len(first) - 1 if first[-1] == length else 1 if first[1] == length else wanted
        if taken != wanted:
            raise SpecError(f"Keras adds a tensor of shape {second} to one of {first} along axis {taken} instead of "
                            f"{wanted}, a mistake of its TensorFlow backend.",
                            hint="Write the smaller tensor first.")
    return shape


def with_axis(bound: Bound, operation: Any) -> Shape:
    """The same shape; the operation's axis or axes must exist."""
    places(operation.axis, len(shape_of(bound)))
    return shape_of(bound)


def reduce(shape: Shape, axis: Any, keepdims: bool) -> Shape:
    gone = places(axis, len(shape))
    if keepdims:
        return tuple(1 if index in gone else item for index, item in enumerate(shape))
    return tuple(item for index, item in enumerate(shape) if index not in gone)


def reduced(bound: Bound, operation: Any) -> Shape:
    return reduce(shape_of(bound), operation.axis, getattr(operation, "keepdims", False))


def moments(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    if operation.synchronized:
        raise SpecError("synchronized=True is for several devices.", hint="Leave it out.")
    return (reduce(shape_of(bound), operation.axes, operation.keepdims),) * 2


def of_quantiles(bound: Bound, operation: Any) -> Shape:
    if operation.method != "linear":
        raise SpecError(f"method={operation.method!r}: Keras's operation takes no notice of it in a model.")
    if bound["q"].index is not None:
        raise SpecError("q is a number or a list of numbers, no tensor.")
    if operation.keepdims and operation.axis is None and bound["q"].shape:
        raise SpecError("keepdims=True with several q needs an axis.")
    return (*bound["q"].shape, *reduce(shape_of(bound), operation.axis, operation.keepdims))


def weighted(bound: Bound, operation: Any) -> Shape:
    """average: weights of the same shape, or one per element along the axis."""
    shape, weights = shape_of(bound), bound["weights"]
    if weights is not None and weights.shape != shape:
        if not isinstance(operation.axis, int):
            raise SpecError("weights of another shape need an axis.")
        if weights.shape not in ((shape[place(operation.axis, len(shape))],), ()):
            raise SpecError(f"the weights of shape {weights.shape} do not fit axis {operation.axis} of {shape}.")
    return reduce(shape, operation.axis, False)


def cumulative(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if operation.axis is None:
        return (size(shape),)
    place(operation.axis, len(shape))
    return shape


def differences(bound: Bound, operation: Any) -> Shape:
    shape = list(shape_of(bound))
    axis = place(operation.axis, len(shape))
    length = shape[axis]
    shape[axis] = None if length is None else max(length - operation.n, 0)
    return tuple(shape)


def trapezoid(bound: Bound, operation: Any) -> Shape:
    if operation.axis < -1:
        raise SpecError(f"axis is -1 or counted from 0, got {operation.axis}.")
    return reduce(shape_of(bound), operation.axis, False)


def counted(bound: Bound, operation: Any) -> Shape:
    """top_k: (values, indices) of the k largest along the last axis."""
    shape = shape_of(bound)
    length = shape[-1] if shape else None
    if not shape or (length is not None and operation.k > length):
        raise SpecError(f"there are no {operation.k} values along the last axis of {shape}.")
    if not operation.sorted:
        raise SpecError("sorted=False leaves the order open, which the two frameworks then choose differently.")
    return ((*shape[:-1], operation.k),) * 2  # type: ignore[return-value]
