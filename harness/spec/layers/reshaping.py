"""Reshaping layers (keras/src/layers/reshaping)."""

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.layers.base import Layer, Shape, known, product, require_rank
from harness.spec.layers.spatial import DataFormat, Margin, Margins, Margins3, Size2, Size3, either_layout


class Flatten(Layer):
    """(batch, ...) to (batch, features), in Keras's order: the last axis runs fastest."""

    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        return (shapes[0][0], product(shapes[0][1:]))


class Reshape(Layer):
    """(batch, ...) to (batch, *target_shape); one entry may be -1."""

    target_shape: tuple[int, ...]

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if list(self.target_shape).count(-1) > 1 or any(size < -1 or size == 0 for size in self.target_shape):
            raise SpecError(f"Reshape's target_shape holds positive sizes and at most one -1, got {self.target_shape}.")
        size = product(shape[1:])
        fixed = math.prod(value for value in self.target_shape if value != -1)
        if size is None:
            return (shape[0], *(None if value == -1 else value for value in self.target_shape))
        if size % fixed if -1 in self.target_shape else size != fixed:
            raise SpecError(f"Reshape cannot turn {shape[1:]} ({size} elements) into {self.target_shape}.")
        return (shape[0], *(size // fixed if value == -1 else value for value in self.target_shape))


class Permute(Layer):
    """Reorders the axes; `dims` counts from 1 and leaves the batch out: (2, 1) swaps the first two."""

    dims: tuple[int, ...]

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if sorted(self.dims) != list(range(1, len(shape))):
            raise SpecError(f"Permute's dims must be a permutation of 1..{len(shape) - 1} for inputs of shape "
                            f"{shape}, got {self.dims}.")
        return (shape[0], *(shape[axis] for axis in self.dims))


class RepeatVector(Layer):
    """(batch, features) to (batch, n, features)."""

    n: int = Field(gt=0)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 2, "(batch, features)")
        return (shapes[0][0], self.n, shapes[0][1])


def _grown(size: int | None, margin: tuple[int, ...], sign: int, layer: Layer) -> int | None:
    if size is None:
        return None
    if size + sign * sum(margin) < 1:
        raise SpecError(f"{type(layer).__name__}: nothing is left of a dimension of {size} after cropping {margin}.")
    return size + sign * sum(margin)


class ZeroPadding1D(Layer):
    """Zeros before and after the steps of (batch, steps, channels)."""

    padding: Margin = (1, 1)
    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 3, "(batch, steps, channels)")
        return (shapes[0][0], _grown(shapes[0][1], self.padding, 1, self), shapes[0][2])


class ZeroPadding2D(Layer):
    """Zeros around images: ((top, bottom), (left, right))."""

    padding: Margins = ((1, 1), (1, 1))
    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 4, "(batch, height, width, channels)")
        batch, height, width, channels = shapes[0]
        rows, columns = self.padding
        return (batch, _grown(height, rows, 1, self), _grown(width, columns, 1, self), channels)


class ZeroPadding3D(Layer):
    """Zeros around volumes: one pair (before, after) for depth, height and width."""

    padding: Margins3 = ((1, 1), (1, 1), (1, 1))
    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 5, "(batch, depth, height, width, channels)")
        sizes = (_grown(size, pair, 1, self) for size, pair in zip(shapes[0][1:-1], self.padding, strict=True))
        return (shapes[0][0], *sizes, shapes[0][-1])


class Cropping1D(Layer):
    """Cuts steps off both ends of (batch, steps, channels)."""

    cropping: Margin = (1, 1)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 3, "(batch, steps, channels)")
        return (shapes[0][0], _grown(shapes[0][1], self.cropping, -1, self), shapes[0][2])


class Cropping2D(Layer):
    """Cuts the border off images: ((top, bottom), (left, right))."""

    cropping: Margins = ((0, 0), (0, 0))
    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 4, "(batch, height, width, channels)")
        batch, height, width, channels = shapes[0]
        rows, columns = self.cropping
        return (batch, _grown(height, rows, -1, self), _grown(width, columns, -1, self), channels)


class Cropping3D(Layer):
    """Cuts the border off volumes: one pair (before, after) for depth, height and width."""

    cropping: Margins3 = ((1, 1), (1, 1), (1, 1))
    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 5, "(batch, depth, height, width, channels)")
        sizes = (_grown(size, pair, -1, self) for size, pair in zip(shapes[0][1:-1], self.cropping, strict=True))
        return (shapes[0][0], *sizes, shapes[0][-1])


class UpSampling1D(Layer):
    """Every step `size` times."""

    size: int = Field(default=2, gt=0)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 3, "(batch, steps, channels)")
        batch, steps, channels = shapes[0]
        return (batch, None if steps is None else steps * self.size, channels)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class UpSampling2D(Layer):
    """Images enlarged by whole factors (height, width)."""

    size: Size2 = (2, 2)
    data_format: DataFormat = "channels_last"
    interpolation: Annotated[Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"],
                             BeforeValidator(_lower)] = "nearest"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 4, "(batch, height, width, channels)")
        batch, height, width, channels = shapes[0]
        if self.interpolation not in ("nearest", "bilinear"):
            known(height, self, "the height")
            known(width, self, "the width")
        sizes = (None if a is None else a * b for a, b in zip((height, width), self.size, strict=True))
        return (batch, *sizes, channels)


class UpSampling3D(Layer):
    """Every voxel `size` times (depth, height, width)."""

    size: Size3 = (2, 2, 2)
    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 5, "(batch, depth, height, width, channels)")
        sizes = (None if a is None else a * b for a, b in zip(shapes[0][1:-1], self.size, strict=True))
        return (shapes[0][0], *sizes, shapes[0][-1])


LAYERS = (
    Flatten, Reshape, Permute, RepeatVector, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D, Cropping1D, Cropping2D,
    Cropping3D, UpSampling1D, UpSampling2D, UpSampling3D,
)
