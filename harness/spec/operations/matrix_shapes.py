"""Shapes and costs of products and of linear algebra."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.operations.dtypes import Bound
from harness.spec.operations.shapes import broadcast, place, places, reduce, shape_of


def _fit(first: int | None, second: int | None, shapes: tuple[Shape, Shape]) -> None:
    if first is not None and second is not None and first != second:
        raise SpecError(f"the axes that are summed over differ: {first} and {second}, in {shapes[0]} and {shapes[1]}.")


def matmul(bound: Bound, operation: Any) -> Shape:
    first, second = bound["x1"].shape, bound["x2"].shape
    if not first or not second:
        raise SpecError(f"matrix products are of tensors with dimensions, got {first} and {second}.")
    full1, full2 = first if len(first) > 1 else (1, *first), second if len(second) > 1 else (*second, 1)
    _fit(full1[-1], full2[-2], (first, second))
    shape: list[int | None] = [*broadcast(full1[:-2], full2[:-2]), full1[-2], full2[-1]]
    if len(first) == 1:
        del shape[-2]
    if len(second) == 1:
        del shape[-1]
    return tuple(shape)


def dot(bound: Bound, operation: Any) -> Shape:
    first, second = bound["x1"].shape, bound["x2"].shape
    if not first or not second:
        return tuple(first or second)
    if len(second) == 1:
        _fit(first[-1], second[0], (first, second))
        return tuple(first[:-1])
    _fit(first[-1], second[-2], (first, second))
    return (*first[:-1], *second[:-2], second[-1])


def inner(bound: Bound, operation: Any) -> Shape:
    first, second = bound["x1"].shape, bound["x2"].shape
    if not first or not second:
        return tuple(first or second)
    _fit(first[-1], second[-1], (first, second))
    try:
        # Keras's TensorFlow backend traces an elementwise product beside the inner one.
        broadcast(first, second)
    except SpecError:
        raise SpecError(f"Keras's TensorFlow backend cannot trace it for {first} and {second}.",
                        hint="Use einsum or tensordot.") from None
    return (*first[:-1], *second[:-1])


def contracted(axes: Any, rank1: int, rank2: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of both that tensordot sums over: a number of last and first ones, or two lists."""
    if isinstance(axes, int):
        if not 0 <= axes <= min(rank1, rank2):
            raise SpecError(f"axes={axes} is more than there are dimensions.")
        return tuple(range(rank1 - axes, rank1)), tuple(range(axes))
    if not isinstance(axes, tuple) or len(axes) != 2 or not all(isinstance(item, tuple) for item in axes):
        raise SpecError(f"axes is a number, or the axes of the first and of the second tensor, got {axes}.")
    first, second = places(axes[0], rank1), places(axes[1], rank2)
    if len(first) != len(second):
        raise SpecError(f"axes={axes} names different numbers of axes.")
    return first, second


def tensordot(bound: Bound, operation: Any) -> Shape:
    first, second = bound["x1"].shape, bound["x2"].shape
    gone1, gone2 = contracted(operation.axes, len(first), len(second))
    for a, b in zip(gone1, gone2, strict=True):
        _fit(first[a], second[b], (first, second))
    return (*(item for index, item in enumerate(first) if index not in gone1),
            *(item for index, item in enumerate(second) if index not in gone2))


def parsed_einsum(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    """(letters of every operand, letters of the output), "..." written out in capitals that nothing else has."""
    text = subscripts.replace(" ", "")
    if text != text.lower():
        raise SpecError(f"Keras cannot tell the shape of {subscripts!r}: it takes small letters alone.")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise SpecError(f"{subscripts!r} is for {len(terms)} tensors, got {len(ranks)}.")
    free = [letter for letter in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if letter not in text]
    elided = [rank - len(term.replace("...", "")) if "..." in term else 0
              for term, rank in zip(terms, ranks, strict=True)]
    if any(count < 0 for count in elided) or max(elided) > len(free):
        raise SpecError(f"{subscripts!r} does not fit tensors of {ranks} dimensions.")
    dots = free[:max(elided)]
    full = [term.replace("...", "".join(dots[len(dots) - count:])) for term, count in zip(terms, elided, strict=True)]
    if any(len(term) != rank for term, rank in zip(full, ranks, strict=True)):
        raise SpecError(f"{subscripts!r} does not fit tensors of {ranks} dimensions.")
    if not arrow:
        letters = "".join(term.replace("...", "") for term in terms)
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        return full, "".join(dots) + "".join(once)
    output = right.replace("...", "".join(dots))
    if any(letter not in "".join(full) for letter in output):
        raise SpecError(f"the output of {subscripts!r} has a letter that no tensor has.")
    return full, output


def einsum_sizes(bound: Bound, operation: Any) -> tuple[dict[str, int | None], str]:
    shapes = [item.shape for item in bound["operands"]]
    terms, output = parsed_einsum(operation.subscripts, [len(shape) for shape in shapes])
    sizes: dict[str, int | None] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, item in zip(term, shape, strict=True):
            try:
                (sizes[letter],) = broadcast((sizes.get(letter, 1),), (item,))
            except SpecError:
                raise SpecError(f"{letter!r} of {operation.subscripts!r} is {sizes[letter]} and {item}.") from None
    return sizes, output


def einsum(bound: Bound, operation: Any) -> Shape:
    sizes, output = einsum_sizes(bound, operation)
    return tuple(sizes[letter] for letter in output)


def outer(bound: Bound, operation: Any) -> Shape:
    totals = []
    for name in ("x1", "x2"):
        shape = bound[name].shape
        totals.append(None if None in shape else math.prod(shape))
    return tuple(totals)


def cross(bound: Bound, operation: Any) -> Shape:
    first, second = bound["x1"].shape, bound["x2"].shape
    axes = (operation.axis,) * 3 if operation.axis is not None else (operation.axisa, operation.axisb, operation.axisc)
    a, b = place(axes[0], len(first)), place(axes[1], len(second))
    if first[a] not in (2, 3) or second[b] not in (2, 3):
        raise SpecError(f"a cross product is of vectors of 2 or 3, got {first} and {second}.")
    rest = broadcast((*first[:a], *first[a + 1:]), (*second[:b], *second[b + 1:]))
    if first[a] == second[b] == 2:
        return rest
    at = place(axes[2], len(rest) + 1)
    return (*rest[:at], 3, *rest[at:])


def square(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] is None:
        raise SpecError(f"expected square matrices in the last two dimensions, got {shape}.")
    return shape


def determinant(bound: Bound, operation: Any) -> Shape:
    return square(bound, operation)[:-2]


def solved(bound: Bound, operation: Any) -> Shape:
    first, second = bound["a"].shape, bound["b"].shape
    square({"a": bound["a"]}, operation)
    vector = len(second) == len(first) - 1
    _fit(first[-1], second[-1] if vector else second[-2], (first, second))
    return tuple(second)


def norm(bound: Bound, operation: Any) -> Shape:
    shape, axis = shape_of(bound), operation.axis
    axes = places(axis, len(shape))
    if len(axes) > 2:
        raise SpecError(f"a norm is taken over one axis or two, got {len(axes)} of {shape}.", hint="Give axis=.")
    if operation.ord in ("nuc", 2, -2) and len(axes) == 2:
        raise SpecError(f"ord={operation.ord!r} of matrices is not supported: it goes through singular values.")
    if isinstance(operation.ord, str) and (operation.ord != "fro" or len(axes) < 2):
        raise SpecError(f"unknown ord={operation.ord!r} over {len(axes)} axes.")
    return reduce(shape, axis, operation.keepdims)


def distances(bound: Bound, operation: Any) -> Shape:
    first, second = bound["x"].shape, bound["y"].shape
    _fit(first[-1], second[-1], (first, second))
    return (*broadcast(first[:-2], second[:-2]), first[-2], second[-2])


# (operations, 2 per multiply-add; operands on the left; on the right) of each product. None: a size is not known.
Counts = tuple[tuple[int, tuple[str, ...], tuple[str, ...]], ...] | None


def counted(sizes: Iterable[int | None], left: tuple[str, ...] = ("x1",), right: tuple[str, ...] = ("x2",)) -> Counts:
    """One product with so many multiply-adds."""
    known = tuple(sizes)
    return None if None in known else ((2 * math.prod(item for item in known if item is not None), left, right),)


def matmul_products(bound: Bound, operation: Any) -> Counts:
    return counted((*matmul(bound, operation), bound["x1"].shape[-1]))


def dot_products(bound: Bound, operation: Any) -> Counts:
    if not bound["x1"].shape or not bound["x2"].shape:
        return ()
    return counted((*dot(bound, operation), bound["x1"].shape[-1]))


def inner_products(bound: Bound, operation: Any) -> Counts:
    if not bound["x1"].shape or not bound["x2"].shape:
        return ()
    return counted((*inner(bound, operation), bound["x1"].shape[-1]))


def tensordot_products(bound: Bound, operation: Any) -> Counts:
    first = bound["x1"].shape
    gone, _ = contracted(operation.axes, len(first), len(bound["x2"].shape))
    return counted((*tensordot(bound, operation), *(first[axis] for axis in gone)))


def einsum_products(bound: Bound, operation: Any) -> Counts:
    """Of one tensor: a sum, no product. Of two: 2 per multiply-add, nothing where nothing is summed. Of more, the
    pairwise order is the framework's own: not known."""
    operands = bound["operands"]
    if len(operands) > 2:
        return None
    terms, output = parsed_einsum(operation.subscripts, [len(item.shape) for item in operands])
    if len(operands) < 2 or not set(terms[0]) & set(terms[1]) - set(output):
        return ()
    sizes, _ = einsum_sizes(bound, operation)
    # What one tensor alone has, and the output has not, is summed before.
    kept = set(output) | set(terms[0]) & set(terms[1])
    return counted((sizes[letter] for letter in kept), ("operands 0",), ("operands 1",))
