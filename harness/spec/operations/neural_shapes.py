"""Shapes and costs of keras.ops.nn, of transforms and of image operations."""

from __future__ import annotations

from typing import Any

from harness.errors import SpecError
from harness.spec.layers.base import Shape
from harness.spec.layers.spatial import SPACE, window_length
from harness.spec.operations.dtypes import Bound
from harness.spec.operations.matrix_shapes import Counts, counted
from harness.spec.operations.shapes import broadcast, place, places, shape_of


def glu(bound: Bound, operation: Any) -> Shape:
    shape = list(shape_of(bound))
    axis = place(operation.axis, len(shape))
    length = shape[axis]
    if length is None or length % 2:
        raise SpecError(f"axis {operation.axis} of {tuple(shape)} must be of a known even size.")
    shape[axis] = length // 2
    return tuple(shape)


def channels_last_only(operation: Any) -> None:
    if operation.data_format != "channels_last":
        raise SpecError("data_format='channels_first' is not supported for operations.",
                        hint="Transpose to channels last first, or use the layer.")


def spatial(value: Any, rank: int, what: str) -> tuple[int, ...]:
    """A whole number, or one per dimension."""
    values = value if isinstance(value, tuple) else (value,) * rank
    if len(values) != rank or not all(isinstance(item, int) and item >= 1 for item in values):
        raise SpecError(f"{what} is a whole number >= 1 or one for each of {rank} dimensions, got {value!r}.")
    return values


def windows(shape: Shape, kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str,
            channels: int | None) -> Shape:
    lengths = [window_length(length, k, stride, padding, d)
               for length, k, stride, d in zip(shape[1:-1], kernel, strides, dilation, strict=True)]
    if any(length is not None and length < 1 for length in lengths):
        raise SpecError(f"a window of {kernel} does not fit into {shape}.",
                        hint="Use padding='same', or a smaller window.")
    return (shape[0], *lengths, channels)


def pool(bound: Bound, operation: Any) -> Shape:
    channels_last_only(operation)
    shape = shape_of(bound)
    rank = len(shape) - 2
    if rank not in (1, 2):
        raise SpecError(f"expected (batch, {', '.join(SPACE[2])}, channels) or (batch, steps, channels), got {shape}.")
    kernel = spatial(operation.pool_size, rank, "pool_size")
    strides = kernel if operation.strides is None else spatial(operation.strides, rank, "strides")
    return windows(shape, kernel, strides, (1,) * rank, operation.padding, shape[-1])


def known_kernel(shape: Shape) -> tuple[int, ...]:
    if any(item is None for item in shape):
        raise SpecError(f"the sizes of the kernel must be known, got {shape}.")
    return tuple(item for item in shape if item is not None)


def conv_sizes(bound: Bound, operation: Any, kernel_name: str) -> tuple[Shape, tuple[int, ...], Any, Any]:
    channels_last_only(operation)
    shape, kernel = shape_of(bound), known_kernel(bound[kernel_name].shape)
    rank = len(shape) - 2
    if rank not in (1, 2, 3) or len(kernel) != rank + 2:
        raise SpecError(f"a kernel of shape {kernel} does not fit inputs of shape {shape}.")
    strides, dilation = spatial(operation.strides, rank, "strides"), spatial(operation.dilation_rate, rank,
                                                                             "dilation_rate")
    if max(strides) > 1 and max(dilation) > 1:
        raise SpecError("strides > 1 and dilation_rate > 1 cannot be combined.")
    return shape, kernel, strides, dilation


def conv(bound: Bound, operation: Any) -> Shape:
    shape, kernel, strides, dilation = conv_sizes(bound, operation, "kernel")
    if shape[-1] != kernel[-2]:
        raise SpecError(f"a kernel of shape {kernel} does not fit {shape[-1]} channels.",
                        hint="Convolutions in groups are layers: Conv2D(groups=...).")
    return windows(shape, kernel[:-2], strides, dilation, operation.padding, kernel[-1])


def conv_products(bound: Bound, operation: Any) -> Counts:
    kernel = known_kernel(bound["kernel"].shape)
    return counted((*conv(bound, operation), *kernel[:-1]), ("inputs",), ("kernel",))


def depthwise_conv(bound: Bound, operation: Any) -> Shape:
    shape, kernel, strides, dilation = conv_sizes(bound, operation, "kernel")
    if shape[-1] != kernel[-2] or len(kernel) > 4:
        raise SpecError(f"a depthwise kernel of shape {kernel} does not fit inputs of shape {shape}.")
    if len(set(strides)) > 1:
        raise SpecError("strides must be equal.")
    return windows(shape, kernel[:-2], strides, dilation, operation.padding, kernel[-1] * kernel[-2])


def depthwise_products(bound: Bound, operation: Any) -> Counts:
    kernel = known_kernel(bound["kernel"].shape)
    return counted((*depthwise_conv(bound, operation), *kernel[:-2]), ("inputs",), ("kernel",))


def separable_conv(bound: Bound, operation: Any) -> Shape:
    first = depthwise_conv({"inputs": bound["inputs"], "kernel": bound["depthwise_kernel"]}, operation)
    pointwise = known_kernel(bound["pointwise_kernel"].shape)
    if first[-1] != pointwise[-2] or any(item != 1 for item in pointwise[:-2]):
        raise SpecError(f"a pointwise kernel of shape {pointwise} does not fit {first[-1]} channels.")
    return (*first[:-1], pointwise[-1])


def separable_products(bound: Bound, operation: Any) -> Counts:
    between = {"inputs": bound["inputs"], "kernel": bound["depthwise_kernel"]}
    first = depthwise_products(between, operation)
    pointwise = known_kernel(bound["pointwise_kernel"].shape)
    second = counted((*separable_conv(bound, operation), pointwise[-2]))
    if first is None or second is None:
        return None
    return ((first[0][0], ("inputs",), ("depthwise_kernel",)),
            (second[0][0], ("inputs", "depthwise_kernel"), ("pointwise_kernel",)))


def attention(bound: Bound, operation: Any) -> Shape:
    query, key, value = (bound[name].shape for name in ("query", "key", "value"))
    if not len(query) == len(key) == len(value) == 4:
        raise SpecError(f"query, key and value are of shape (batch, steps, heads, features), got {query}, {key}, "
                        f"{value}.")
    if operation.flash_attention:
        raise SpecError("flash_attention=True is not supported.", hint="Leave it out.")
    if key[2] != value[2] or query[2] != key[2]:
        raise SpecError(f"query, key and value need one number of heads, got {query[2]}, {key[2]}, {value[2]}.")
    return tuple(query)


def attention_products(bound: Bound, operation: Any) -> Counts:
    sizes = (*bound["query"].shape, bound["key"].shape[1])
    scores = counted(sizes, ("query", "scale"), ("key",))
    values = counted(sizes, ("query", "key", "scale", "bias", "mask"), ("value",))
    return None if scores is None or values is None else (*scores, *values)


def along_axis(bound: Bound, operation: Any) -> Shape:
    """batch_normalization, layer_normalization and their like: the shape of x; scales must fit its axis."""
    shape = shape_of(bound)
    places(operation.axis, len(shape))
    return shape


def batch_normalization(bound: Bound, operation: Any) -> Shape:
    shape = along_axis(bound, operation)
    if bound["offset"] is not None and bound["scale"] is None:
        raise SpecError("Keras's operation fails with an offset and no scale.", hint="Add the offset afterwards.")
    for name in ("mean", "variance", "offset", "scale"):
        if bound[name] is not None and bound[name].shape != (shape[operation.axis],):
            raise SpecError(f"{name} of shape {bound[name].shape} does not fit axis {operation.axis} of {shape}.")
    return shape


def space_to_depth(bound: Bound, operation: Any) -> Shape:
    channels_last_only(operation)
    shape, block = shape_of(bound), operation.block_size
    if len(shape) != 4 or any(item is not None and item % block for item in shape[1:3]):
        raise SpecError(f"blocks of {block} do not fit {shape}.")
    rows, columns = (None if item is None else item // block for item in shape[1:3])
    return (shape[0], rows, columns, None if shape[3] is None else shape[3] * block * block)


def depth_to_space(bound: Bound, operation: Any) -> Shape:
    channels_last_only(operation)
    shape, block = shape_of(bound), operation.block_size
    if len(shape) != 4 or shape[3] is None or shape[3] % (block * block):
        raise SpecError(f"blocks of {block} do not fit {shape}.")
    rows, columns = (None if item is None else item * block for item in shape[1:3])
    return (shape[0], rows, columns, shape[3] // (block * block))


def both_parts(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    """A transform of (real, imaginary) of one shape."""
    shapes = [item.shape for item in bound["x"]]
    if len(shapes) != 2 or shapes[0] != shapes[1] or not shapes[0]:
        raise SpecError(f"x is (real, imaginary) of one shape, got {shapes}.")
    return (shapes[0],) * 2


def real_transform(bound: Bound, operation: Any) -> tuple[Shape, ...]:
    shape = shape_of(bound)
    length = operation.fft_length or (shape[-1] if shape else None)
    if length is None:
        raise SpecError(f"the last dimension of {shape} must be known.", hint="Give fft_length=.")
    if shape[-1] is not None and length < shape[-1]:
        raise SpecError(f"fft_length={length} is less than the {shape[-1]} values: TensorFlow's gradient fails then.",
                        hint="Cut the values first.")
    return ((*shape[:-1], length // 2 + 1),) * 2


def inverse_real_transform(bound: Bound, operation: Any) -> Shape:
    shape = both_parts(bound, operation)[0]
    length = operation.fft_length or (None if shape[-1] is None else 2 * (shape[-1] - 1))
    if length is None:
        raise SpecError(f"the last dimension of {shape} must be known.", hint="Give fft_length=.")
    if shape[-1] is not None and length // 2 + 1 < shape[-1]:
        raise SpecError(f"fft_length={length} leaves values out: TensorFlow's gradient fails then.",
                        hint="Cut the values first.")
    return (*shape[:-1], length)


def sequences(bound: Bound, operation: Any) -> Shape:
    shape = shape_of(bound)
    length = shape[-1]
    count = None if length is None else 1 + (length - operation.sequence_length) // operation.sequence_stride
    if count is not None and count < 1:
        raise SpecError(f"no sequence of {operation.sequence_length} fits into {length}.")
    return (*shape[:-1], count, operation.sequence_length)


def crossentropy(bound: Bound, operation: Any) -> Shape:
    if bound["target"].shape != bound["output"].shape:
        broadcast(bound["target"].shape, bound["output"].shape)
    return tuple(bound["output"].shape)


def categorical_crossentropy(bound: Bound, operation: Any) -> Shape:
    shape = crossentropy(bound, operation)
    if place(operation.axis, len(shape)) != len(shape) - 1:
        raise SpecError(f"only axis=-1 is supported, got {operation.axis}: Keras states a wrong shape for others.")
    return shape[:-1]


def sparse_crossentropy(bound: Bound, operation: Any) -> Shape:
    shape = bound["output"].shape
    if place(operation.axis, len(shape)) != len(shape) - 1:
        raise SpecError(f"only axis=-1 is supported, got {operation.axis}.")
    return tuple(shape[:-1])


def psnr(bound: Bound, operation: Any) -> Shape:
    broadcast(bound["x1"].shape, bound["x2"].shape)
    return ()
