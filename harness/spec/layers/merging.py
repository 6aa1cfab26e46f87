"""Merging layers (keras/src/layers/merging): several tensors in, one out."""

from collections.abc import Mapping
from typing import Any, ClassVar

from harness.errors import SpecError
from harness.spec.layers.base import Layer, MaskRule, Shape, normalize_axis, product
from harness.spec.products import Products, make_product


class _Elementwise(Layer):
    """Base of the elementwise merges. Inputs of fewer dimensions are expanded at axis 1
    (keras/src/layers/merging/base_merge.py)."""

    mask_rule: ClassVar[MaskRule] = "own"

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) < 2:
            raise SpecError(f"{type(self).__name__} merges at least 2 tensors, got {len(shapes)}.",
                            hint="Call it on a list: layer([a, b]).")
        rank = max(len(shape) for shape in shapes)
        full = [(shape[0], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes]
        return tuple(self._broadcast([shape[axis] for shape in full], shapes) for axis in range(rank))

    def _broadcast(self, sizes: list[int | None], shapes: tuple[Shape, ...]) -> int | None:
        fixed = {size for size in sizes if size not in (1, None)}
        if len(fixed) > 1:
            raise SpecError(f"{type(self).__name__} cannot merge tensors of the shapes "
                            f"{', '.join(map(str, shapes))}.")
        if fixed:
            return fixed.pop()
        return None if None in sizes else 1


class Add(_Elementwise):
    """The sum of the inputs."""


class Subtract(_Elementwise):
    """The first input minus the second."""

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 2:
            raise SpecError(f"Subtract takes exactly 2 tensors, got {len(shapes)}.")
        return super().compute_output_shape(*shapes)


class Multiply(_Elementwise):
    """The product of the inputs."""


class Average(_Elementwise):
    """The mean of the inputs."""


class Maximum(_Elementwise):
    """The largest of the inputs."""


class Minimum(_Elementwise):
    """The smallest of the inputs."""


class Concatenate(Layer):
    """The inputs side by side along `axis`."""

    mask_rule: ClassVar[MaskRule] = "own"

    axis: int = -1

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) < 1:
            raise SpecError("Concatenate needs at least 1 tensor.")
        rank = len(shapes[0])
        axis = normalize_axis(self.axis, rank, self)
        for shape in shapes[1:]:
            others = [(a, b) for i, (a, b) in enumerate(zip(shapes[0], shape, strict=False)) if i != axis]
            if len(shape) != rank or any(a != b for a, b in others if a is not None and b is not None):
                raise SpecError(f"Concatenate(axis={self.axis}) needs shapes that agree except along that axis, "
                                f"got {', '.join(map(str, shapes))}.")
        sizes = [shape[axis] for shape in shapes]
        joined = None if None in sizes else sum(size for size in sizes if size is not None)
        return (*shapes[0][:axis], joined, *shapes[0][axis + 1:])


class Dot(Layer):
    """The sum over one axis of each of two inputs of their products: (B, a.., b..) from (B, a.., d) and (B, b.., d).

    axes: one for both, or a pair. normalize: each input is divided by its L2 norm along that axis first.
    """

    axes: int | tuple[int, int]
    normalize: bool = False

    def places(self, *shapes: Shape) -> tuple[int, int]:
        """The two axes, counted from 0 (the batch), checked."""
        if len(shapes) != 2:
            raise SpecError(f"Dot takes exactly 2 tensors, got {len(shapes)}.", hint="Call it on a list.")
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        first, second = (normalize_axis(axis, len(shape), self) for axis, shape in zip(axes, shapes, strict=True))
        if 0 in (first, second):
            raise SpecError(f"Dot cannot sum over the batch, got axes={self.axes}.")
        if shapes[0][first] != shapes[1][second]:
            raise SpecError(f"Dot(axes={self.axes}) needs axes of one size, got {shapes[0][first]} and "
                            f"{shapes[1][second]} in the shapes {shapes[0]} and {shapes[1]}.")
        return first, second

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        first, second = self.places(*shapes)
        rest = (*shapes[0][:first], *shapes[0][first + 1:], *shapes[1][1:second], *shapes[1][second + 1:])
        return rest if len(rest) > 1 else (*rest, 1)

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        count = product((*self.compute_output_shape(*shapes)[1:], shapes[0][self.places(*shapes)[0]]))
        return None if count is None else (make_product(2 * count, [0], [1]),)


LAYERS = (Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot)
