"""The PyTorch modules of operations whose arguments need to be turned into what torch understands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from harness.backends.pytorch.layers import (
    operations_losses,
    operations_matrices,
    operations_neural,
    operations_ordering,
    operations_reductions,
    operations_selecting,
    operations_shaping,
    operations_windows,
)
from harness.backends.pytorch.layers.operations_constants import Bound, fixed_of, over_axes, tuples, value_of
from harness.backends.pytorch.layers.windows import windows_of
from harness.spec.operations import image_shapes, neural_shapes, shaping_shapes
from harness.spec.operations.matrix_shapes import contracted
from harness.spec.operations.selecting_shapes import key_items, numbers
from harness.spec.operations.shapes import place, places, shape_of


def _transpose(layer: Any, bound: Bound) -> nn.Module:
    rank = len(shape_of(bound))
    axes = range(rank)[::-1] if layer.axes is None else places(layer.axes, rank)
    return operations_shaping.Transpose(tuple(axes))


def _swapaxes(layer: Any, bound: Bound) -> nn.Module:
    rank = len(shape_of(bound))
    order = list(range(rank))
    first, second = place(layer.axis1, rank), place(layer.axis2, rank)
    order[first], order[second] = order[second], order[first]
    return operations_shaping.Transpose(tuple(order))


def _moveaxis(layer: Any, bound: Bound) -> nn.Module:
    return operations_shaping.Transpose(tuple(
        shaping_shapes.move_order(len(shape_of(bound)), layer.source, layer.destination)))


def _expand_dims(layer: Any, bound: Bound) -> nn.Module:
    count = len(layer.axis) if isinstance(layer.axis, tuple) else 1
    return operations_shaping.ExpandDims(tuple(sorted(places(layer.axis, len(shape_of(bound)) + count))))


def _squeeze(layer: Any, bound: Bound) -> nn.Module:
    shape = shape_of(bound)
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1) if layer.axis is None else \
        places(layer.axis, len(shape))
    return operations_shaping.Squeeze(axes)


def _flip(axis: Any = None) -> Callable[..., nn.Module]:
    def build(layer: Any, bound: Bound) -> nn.Module:
        given = getattr(layer, "axis", axis)
        return operations_shaping.Flip(places(given, len(shape_of(bound))))

    return build


def _concatenate(layer: Any, bound: Bound) -> nn.Module:
    rank = len(bound["xs"][0].shape)
    axis = {"hstack": 0 if rank == 1 else 1, "vstack": 0}.get(layer.declared.function)
    return operations_shaping.Concatenate(place(layer.axis, rank) if axis is None else axis, fixed=fixed_of(bound))


def _append(layer: Any, bound: Bound) -> nn.Module:
    return operations_shaping.Concatenate(layer.axis or 0, flat=layer.axis is None, fixed=fixed_of(bound))


def _stack(layer: Any, bound: Bound) -> nn.Module:
    return operations_shaping.Stack(place(layer.axis, len(bound["x"][0].shape) + 1), fixed=fixed_of(bound))


def _split(layer: Any, bound: Bound) -> nn.Module:
    rank = len(shape_of(bound))
    axis = {"hsplit": 0 if rank == 1 else 1, "vsplit": 0, "dsplit": 2}.get(layer.declared.function)
    return operations_shaping.Split(layer.indices_or_sections, place(layer.axis, rank) if axis is None else axis)


def _unstack(layer: Any, bound: Bound) -> nn.Module:
    return operations_shaping.Unstack(place(layer.axis, len(shape_of(bound))))


def _rot90(layer: Any, bound: Bound) -> nn.Module:
    return operations_shaping.Rot90(layer.k, places(layer.axes, len(shape_of(bound))))  # type: ignore[arg-type]


def _roll(layer: Any, bound: Bound) -> nn.Module:
    return operations_shaping.Roll(layer.shift, layer.axis)


def _tile(layer: Any, bound: Bound) -> nn.Module:
    return operations_shaping.Tile(layer.repeats if isinstance(layer.repeats, tuple) else (layer.repeats,))


def _pad(layer: Any, bound: Bound) -> nn.Module:
    value = bound["constant_values"]
    return operations_shaping.Pad(shaping_shapes.pad_pairs(layer.pad_width, len(shape_of(bound))), layer.mode,
                                  0 if value is None else value.value)


def _diagonal(layer: Any, bound: Bound) -> nn.Module:
    return operations_shaping.Diagonal(layer.offset, layer.axis1, layer.axis2, layer.declared.function == "trace")


def _get_item(layer: Any, bound: Bound) -> nn.Module:
    items = key_items(bound["key"], len(bound["x"].shape))
    return operations_selecting.GetItem(tuple(
        tuple(item["slice"]) if isinstance(item, Mapping) else item for item in items))


def _select(layer: Any, bound: Bound) -> nn.Module:
    return operations_selecting.Select(len(bound["condlist"]), fixed=fixed_of(bound))


def _take(layer: Any, bound: Bound) -> nn.Module:
    axis = None if layer.axis is None else place(layer.axis, len(bound["x"].shape))
    return operations_selecting.Take(axis, fixed=fixed_of(bound))


def _slice(layer: Any, bound: Bound) -> nn.Module:
    return operations_selecting.Slice(tuple(numbers(bound["start_indices"], "start_indices")), layer.shape)


def _scatter_update(layer: Any, bound: Bound) -> nn.Module:
    return operations_selecting.ScatterUpdate(layer.reduction == "add", fixed=fixed_of(bound))


def _segments(function: str) -> Callable[..., nn.Module]:
    return lambda layer, bound: operations_selecting.Segments(function, layer.num_segments, fixed=fixed_of(bound))


def _one_hot(layer: Any, bound: Bound) -> nn.Module:
    return operations_selecting.OneHot(layer.num_classes, place(layer.axis, len(shape_of(bound)) + 1), layer.dtype)


def _multi_hot(layer: Any, bound: Bound) -> nn.Module:
    return operations_selecting.MultiHot(layer.num_classes, layer.dtype)


def _digitize(layer: Any, bound: Bound) -> nn.Module:
    return operations_selecting.Digitize(value_of(bound["bins"]))


def _quantile(layer: Any, bound: Bound) -> nn.Module:
    return operations_ordering.Quantile(
        value_of(bound["q"]), over_axes(layer.axis, (shape_of(bound),)), layer.keepdims,
        layer.declared.function == "percentile")


def _median(layer: Any, bound: Bound) -> nn.Module:
    return operations_ordering.Quantile(0.5, over_axes(layer.axis, (shape_of(bound),)), keepdims=layer.keepdims)


def _moments(layer: Any, bound: Bound) -> nn.Module:
    return operations_reductions.Moments(places(layer.axes, len(shape_of(bound))), layer.keepdims)


def _tensordot(layer: Any, bound: Bound) -> nn.Module:
    axes = contracted(layer.axes, len(bound["x1"].shape), len(bound["x2"].shape))
    return operations_matrices.TensorDot(axes, fixed=fixed_of(bound))


def _cross(layer: Any, bound: Bound) -> nn.Module:
    axes = (layer.axis,) * 3 if layer.axis is not None else (layer.axisa, layer.axisb, layer.axisc)
    return operations_matrices.Cross(axes, fixed=fixed_of(bound))


def _solve_triangular(layer: Any, bound: Bound) -> nn.Module:
    return operations_matrices.Solve("lower" if layer.lower else "upper", fixed=fixed_of(bound))


def _norm(layer: Any, bound: Bound) -> nn.Module:
    return operations_matrices.Norm(layer.ord, places(layer.axis, len(shape_of(bound))), layer.keepdims)


def _epsilon(layer: Any) -> float:
    return operations_losses.EPSILON if layer.epsilon is None else layer.epsilon  # type: ignore[no-any-return]


def _normalize(layer: Any, bound: Bound) -> nn.Module:
    return operations_neural.Normalize(places(layer.axis, len(shape_of(bound))), layer.order, _epsilon(layer))


def _rms(layer: Any, bound: Bound) -> nn.Module:
    return operations_neural.RMSNormalization(places(layer.axis, len(shape_of(bound))), _epsilon(layer),
                                              fixed=fixed_of(bound))


def _layer_norm(layer: Any, bound: Bound) -> nn.Module:
    axes = tuple(sorted(places(layer.axis, len(shape_of(bound)))))
    return operations_neural.LayerNormalization(axes, _epsilon(layer), layer.rms_scaling, fixed=fixed_of(bound))


def _batch_norm(layer: Any, bound: Bound) -> nn.Module:
    return operations_neural.BatchNormalization(layer.axis, layer.epsilon, fixed=fixed_of(bound))


def _attention(layer: Any, bound: Bound) -> nn.Module:
    return operations_neural.Attention(layer.is_causal, fixed=fixed_of(bound))


def _sparse_crossentropy(layer: Any, bound: Bound) -> nn.Module:
    return operations_losses.SparseCategoricalCrossentropy(layer.from_logits, fixed=fixed_of(bound))


def _windows(layer: Any, kernel: tuple[int, ...], strides: Any, dilation: Any = 1) -> Any:
    rank = len(kernel)
    return windows_of(kernel, neural_shapes.spatial(strides, rank, "strides"), layer.padding,
                      neural_shapes.spatial(dilation, rank, "dilation_rate"))


def _pool(maximum: bool) -> Callable[..., nn.Module]:
    def build(layer: Any, bound: Bound) -> nn.Module:
        rank = len(shape_of(bound)) - 2
        kernel = neural_shapes.spatial(layer.pool_size, rank, "pool_size")
        return operations_windows.Pool(_windows(layer, kernel, kernel if layer.strides is None else layer.strides),
                                       maximum, rank == 1)

    return build


def _conv(depthwise: bool) -> Callable[..., nn.Module]:
    def build(layer: Any, bound: Bound) -> nn.Module:
        kernel = bound["kernel"].shape[:-2]
        return operations_windows.Conv(_windows(layer, kernel, layer.strides, layer.dilation_rate), depthwise,
                                       fixed=fixed_of(bound))

    return build


def _separable(layer: Any, bound: Bound) -> nn.Module:
    kernel = bound["depthwise_kernel"].shape[:-2]
    return operations_windows.SeparableConv(_windows(layer, kernel, layer.strides, layer.dilation_rate),
                                            fixed=fixed_of(bound))


def _blocks(cls: Any) -> Callable[..., nn.Module]:
    return lambda layer, bound: cls(layer.block_size)


def _resize(layer: Any, bound: Bound) -> nn.Module:
    from harness.plan.interpolation import resize_matrix

    sizes = neural_shapes.spatial(layer.size, 2, "size")
    axes = shape_of(bound)[-3:-1]
    matrices = [resize_matrix(layer.interpolation, int(length or 0), size)
                for length, size in zip(axes, sizes, strict=True)]
    if layer.interpolation == "nearest":
        return operations_windows.ResizeNearest(*(tuple(matrix.argmax(1).tolist()) for matrix in matrices))
    return operations_windows.Resize(*(tuples(matrix.tolist()) for matrix in matrices))


def _margins(word: str, sign: int) -> Callable[..., nn.Module]:
    def build(layer: Any, bound: Bound) -> nn.Module:
        rows, columns = image_shapes.margins(layer, shape_of(bound), word)
        return operations_windows.Margins((sign * rows[0], sign * rows[1]), (sign * columns[0], sign * columns[1]))

    return build


def _patches(layer: Any, bound: Bound) -> nn.Module:
    kernel = neural_shapes.spatial(layer.size, 2, "size")
    strides = kernel if layer.strides is None else layer.strides
    return operations_windows.ExtractPatches(_windows(layer, kernel, strides, layer.dilation_rate))


SPECIAL: dict[str, Callable[..., nn.Module]] = {
    "transpose": _transpose, "swapaxes": _swapaxes, "moveaxis": _moveaxis, "expand_dims": _expand_dims,
    "squeeze": _squeeze, "flip": _flip(), "fliplr": _flip(1), "flipud": _flip(0), "concatenate": _concatenate,
    "hstack": _concatenate, "vstack": _concatenate, "append": _append, "stack": _stack, "split": _split,
    "array_split": _split, "hsplit": _split, "vsplit": _split, "dsplit": _split, "unstack": _unstack,
    "rot90": _rot90, "roll": _roll, "tile": _tile, "pad": _pad, "diagonal": _diagonal, "trace": _diagonal,
    "ravel": lambda layer, bound: operations_shaping.Reshape((-1,)),
    "get_item": _get_item, "select": _select, "take": _take, "slice": _slice,
    "scatter_update": _scatter_update, "segment_sum": _segments("sum"), "segment_prod": _segments("prod"),
    "segment_max": _segments("amax"), "segment_min": _segments("amin"), "one_hot": _one_hot, "multi_hot": _multi_hot,
    "digitize": _digitize, "quantile": _quantile, "percentile": _quantile, "median": _median,
    "moments": _moments, "tensordot": _tensordot, "cross": _cross, "solve_triangular": _solve_triangular,
    "norm": _norm, "normalize": _normalize, "rms_normalization": _rms, "layer_normalization": _layer_norm,
    "batch_normalization": _batch_norm, "dot_product_attention": _attention,
    "sparse_categorical_crossentropy": _sparse_crossentropy, "max_pool": _pool(True), "average_pool": _pool(False),
    "conv": _conv(False),
    "depthwise_conv": _conv(True), "separable_conv": _separable,
    "depth_to_space": _blocks(operations_windows.DepthToSpace),
    "space_to_depth": _blocks(operations_windows.SpaceToDepth), "image.resize": _resize,
    "image.pad_images": _margins("padding", 1), "image.crop_images": _margins("cropping", -1),
    "image.rgb_to_grayscale": lambda layer, bound: operations_windows.Grayscale(),
    "image.extract_patches": _patches, "image.sobel_edges": lambda layer, bound: operations_windows.SobelEdges(),
}
