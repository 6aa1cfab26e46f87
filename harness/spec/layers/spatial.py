"""What layers that slide a window over space or time share: their arguments, and the sizes that come out."""

import functools
import operator
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator

from harness.errors import SpecError, did_you_mean
from harness.spec.layers.base import Layer, Shape

Sizes = tuple[int, ...]
# The names of the dimensions between batch and channels, by their number.
SPACE = {1: ("steps",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def _whole(value: Any, wanted: str, smallest: int) -> int:
    try:
        number = operator.index(value)  # takes NumPy's integers too, and no float
    except TypeError:
        raise SpecError(f"expected {wanted}, got {value!r}.") from None
    if isinstance(value, bool) or number < smallest:
        raise SpecError(f"expected {wanted}, got {value!r}.")
    return number


def sizes_validator(rank: int, smallest: int = 1) -> Callable[[Any], Sizes]:
    """Reads an integer, or one per dimension, as Keras does (`standardize_tuple`); () stays out of reach."""
    wanted = f"a whole number >= {smallest} or a tuple of {rank} of them"

    def read(value: Any) -> Sizes:
        if isinstance(value, (list, tuple)):
            if len(value) != rank:
                raise SpecError(f"expected {wanted}, got {value!r}.")
            return tuple(_whole(item, wanted, smallest) for item in value)
        return (_whole(value, wanted, smallest),) * rank

    return read


def margins_validator(rank: int) -> Callable[[Any], tuple[Sizes, ...]]:
    """Reads Keras's padding and cropping: an int, one per dimension, or a pair (before, after) per dimension."""
    names = SPACE[rank]
    pairs = "((top, bottom), (left, right))" if rank == 2 else "a pair (before, after) of each"
    wanted = f"a whole number >= 0, ({', '.join(names)}), or {pairs}"
    read = sizes_validator(2, 0)

    def read_all(value: Any) -> tuple[Sizes, ...]:
        entries = value if isinstance(value, (list, tuple)) else (value,) * rank
        if len(entries) != rank:
            raise SpecError(f"expected {wanted}, got {value!r}.")
        return tuple(read(entry) for entry in entries)

    return read_all


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _check_data_format(value: Any) -> str:
    name = "channels_last" if value is None else _lower(value)
    if name not in ("channels_last", "channels_first"):
        raise SpecError(f"unknown data_format {value!r}.",
                        hint=did_you_mean(value, ["channels_last", "channels_first"]))
    return str(name)


Size1 = Annotated[Sizes, BeforeValidator(sizes_validator(1))]
Size2 = Annotated[Sizes, BeforeValidator(sizes_validator(2))]
Size3 = Annotated[Sizes, BeforeValidator(sizes_validator(3))]
Margin = Annotated[Sizes, BeforeValidator(sizes_validator(2, 0))]
Margins = Annotated[tuple[Sizes, Sizes], BeforeValidator(margins_validator(2))]
Margins3 = Annotated[tuple[Sizes, Sizes, Sizes], BeforeValidator(margins_validator(3))]
Padding = Annotated[Literal["valid", "same"], BeforeValidator(_lower)]
CausalPadding = Annotated[Literal["valid", "same", "causal"], BeforeValidator(_lower)]
DataFormat = Annotated[Literal["channels_last", "channels_first"], BeforeValidator(_check_data_format)]

Result = TypeVar("Result")


def channels_last(shape: Shape) -> Shape:
    """(batch, channels, ...) as (batch, ..., channels); without space between them the two are one."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else shape


def channels_first(shape: Shape) -> Shape:
    """The inverse of `channels_last`."""
    return (shape[0], shape[-1], *shape[1:-1]) if len(shape) > 2 else shape


def is_channels_first(layer: Layer) -> bool:
    """Whether the layer's tensors hold their channels behind the batch."""
    return getattr(layer, "data_format", None) == "channels_first"


def channels_last_twin(layer: Layer, bare: bool = False) -> Layer:
    """The same layer with data_format="channels_last"; its weights are the same. bare: without what comes behind its
    own computation, activation and activity_regularizer, which have to see the layer's own layout."""
    arguments = {field: getattr(layer, field) for field in type(layer).model_fields}
    behind = {"activation", "activity_regularizer"} & arguments.keys() if bare else ()
    return type(layer)(**{**arguments, **dict.fromkeys(behind), "data_format": "channels_last"})


def either_layout(method: Callable[..., Result]) -> Callable[..., Result]:
    """Lets a method of a layer (compute_output_shape, weights, flops) that is written for shapes with the channels
    last serve data_format="channels_first" too: it is asked of the layer's twin, and a shape is turned back."""
    gives_shape = method.__name__ == "compute_output_shape"

    @functools.wraps(method)
    def of_own_layout(self: Layer, *shapes: Shape) -> Any:
        if not is_channels_first(self):
            return method(self, *shapes)
        # By its name: a subclass may have a further method of that name.
        result = getattr(channels_last_twin(self), method.__name__)(*map(channels_last, shapes))
        return channels_first(result) if gives_shape else result

    return of_own_layout


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) of one dimension under padding="same": TensorFlow's rule, the odd one goes after."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def window_length(size: int | None, kernel: int, stride: int, padding: str, dilation: int = 1) -> int | None:
    """How many windows fit: of one dimension, None if its size is unknown."""
    if size is None:
        return None
    if padding == "valid":
        return (size - (kernel - 1) * dilation - 1) // stride + 1
    return -(-size // stride)


def window_shape(
    layer: Layer, shape: Shape, channels: int | None, kernel: Sizes, strides: Sizes, padding: str,
    dilation: Sizes | None = None,
) -> Shape:
    """(batch, *windows per dimension, channels). Raises SpecError for another rank or if no window fits."""
    rank = len(kernel)
    names = SPACE[rank]
    if len(shape) != rank + 2:
        raise SpecError(f"{type(layer).__name__} expects inputs of shape (batch, {', '.join(names)}, channels), "
                        f"got {shape}.")
    lengths = []
    for name, size, k, stride, d in zip(
        names, shape[1:-1], kernel, strides, dilation or (1,) * rank, strict=True
    ):
        length = window_length(size, k, stride, padding, d)
        if length is not None and length < 1:
            raise SpecError(f"{type(layer).__name__}: a window of {(k - 1) * d + 1} does not fit into the "
                            f"{name} of {size}.", hint="Use padding='same', or a smaller window.")
        lengths.append(length)
    return (shape[0], *lengths, channels)
