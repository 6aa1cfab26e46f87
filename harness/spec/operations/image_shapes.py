"""The shapes that come out of operations on images (keras/src/ops/image.py)."""

from __future__ import annotations

from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.operations.dtypes import Bound
from harness.spec.operations.neural_shapes import channels_last_only, spatial, windows
from harness.spec.operations.shapes import shape_of


def images(bound: Bound, operation: Any) -> Shape:
    channels_last_only(operation)
    shape = shape_of(bound)
    if len(shape) not in (3, 4):
        raise SpecError(f"expected images (batch, height, width, channels), got {shape}.")
    return shape


def coloured(bound: Bound, operation: Any) -> Shape:
    shape = images(bound, operation)
    if shape[-1] != 3:
        raise SpecError(f"expected images with 3 channels, got {shape}.")
    return shape


def grayscale(bound: Bound, operation: Any) -> Shape:
    return (*coloured(bound, operation)[:-1], 1)


def resized(bound: Bound, operation: Any) -> Shape:
    shape = images(bound, operation)
    sizes = spatial(operation.size, 2, "size")
    if operation.crop_to_aspect_ratio or operation.pad_to_aspect_ratio:
        raise SpecError("crop_to_aspect_ratio and pad_to_aspect_ratio are not supported.",
                        hint="Crop or pad with their own operations, then resize.")
    if operation.antialias:
        raise SpecError("antialias=True is not supported.", hint="Leave it out, or resize the data beforehand.")
    if operation.interpolation not in ("nearest", "bilinear", "bicubic"):
        raise SpecError(f"interpolation={operation.interpolation!r} is not supported.",
                        hint="Use 'nearest', 'bilinear' or 'bicubic'.")
    if None in shape[-3:-1]:
        raise SpecError(f"height and width must be known, got {shape}.")
    return (*shape[:-3], *sizes, shape[-1])


def margins(operation: Any, shape: Shape, word: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) of pad_images or crop_images: of each three (two sides, target) two are given."""
    pairs = []
    for length, before, after, target in ((shape[-3], "top", "bottom", operation.target_height),
                                          (shape[-2], "left", "right", operation.target_width)):
        first, last = getattr(operation, f"{before}_{word}"), getattr(operation, f"{after}_{word}")
        if sum(item is None for item in (first, last, target)) != 1:
            raise SpecError(f"exactly two of {before}_{word}, {after}_{word} and the target must be given.")
        if length is None:
            raise SpecError(f"height and width must be known, got {shape}.")
        total = 0 if target is None else (target - length if word == "padding" else length - target)
        pair = (total - last if first is None else first, total - first if last is None else last)
        if min(pair) < 0 or (word == "cropping" and sum(pair) >= length):
            raise SpecError(f"{pair} do not fit an axis of {length}.")
        pairs.append(pair)
    return pairs[0], pairs[1]


def padded_images(bound: Bound, operation: Any) -> Shape:
    shape = images(bound, operation)
    rows, columns = margins(operation, shape, "padding")
    return (*shape[:-3], shape[-3] + sum(rows), shape[-2] + sum(columns), shape[-1])  # type: ignore[operator]


def cropped_images(bound: Bound, operation: Any) -> Shape:
    shape = images(bound, operation)
    rows, columns = margins(operation, shape, "cropping")
    return (*shape[:-3], shape[-3] - sum(rows), shape[-2] - sum(columns), shape[-1])  # type: ignore[operator]


def patches(bound: Bound, operation: Any) -> Shape:
    shape = images(bound, operation)
    size_ = spatial(operation.size, 2, "size")
    strides = size_ if operation.strides is None else spatial(operation.strides, 2, "strides")
    dilation = spatial(operation.dilation_rate, 2, "dilation_rate")
    if len(shape) != 4 or shape[-1] is None:
        raise SpecError(f"expected images (batch, height, width, channels), got {shape}.")
    if max(strides) > 1 and max(dilation) > 1:
        raise SpecError("strides > 1 and dilation_rate > 1 cannot be combined.")
    return windows(shape, size_, strides, dilation, operation.padding, size_[0] * size_[1] * shape[-1])


def edges(bound: Bound, operation: Any) -> Shape:
    shape = images(bound, operation)
    return (*shape, 2)
