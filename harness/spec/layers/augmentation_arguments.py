"""What augmentation layers share: how Keras reads their factors, and the base class.

Keras keeps a factor as the pair that it stands for (keras/src/layers/preprocessing/image_preprocessing/
base_image_preprocessing_layer.py: _set_factor); so do these specs, and equal layers are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from harness.errors import SpecError
from harness.spec.layers.base import Layer, Shape, require_rank
from harness.spec.layers.spatial import either_layout

Pair = tuple[float, float]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def pair_reader(low: float, high: float, mirrored: bool = True) -> Callable[[Any], Pair]:
    """Reads a number or two of them in [low, high]. A number f stands for (-f, f), cut off at `low`; for (0, f) where
    not mirrored."""

    def read(value: Any) -> Pair:
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        if len(numbers) not in (1, 2) or not all(_is_number(item) and low <= item <= high for item in numbers):
            raise SpecError(f"expected a number, or two, from {low:g} to {high:g}, got {value!r}.")
        if len(numbers) == 2:
            first, last = sorted(float(item) for item in numbers)
            return first, last
        size = abs(float(numbers[0]))
        return (max(-size, float(low)) if mirrored else 0.0), size

    return read


def _range(value: Any) -> Pair:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(_is_number(item) for item in value):
        raise SpecError(f"expected two numbers, got {value!r}.")
    low, high = sorted(float(item) for item in value)
    return low, high


# A factor in [-1, 1], in [0, 1], and the pixels' smallest and largest value.
SignedFactor = Annotated[Pair, BeforeValidator(pair_reader(-1, 1))]
Factor = Annotated[Pair, BeforeValidator(pair_reader(0, 1))]
ValueRange = Annotated[Pair, BeforeValidator(_range)]
Interpolation = Literal["nearest", "bilinear"]
FillMode = Literal["reflect", "wrap", "constant", "nearest"]


def _last(value: Any) -> Any:
    if value == "channels_first":
        raise SpecError("Keras computes it wrongly for channels_first (it takes the last axes but one for the image).",
                        hint="Put the channels last.")
    return "channels_last" if value is None else value


ChannelsLast = Annotated[Literal["channels_last"], BeforeValidator(_last)]


class ImageLayer(Layer):
    """Base of layers that change images of shape (batch, height, width, channels).

    bounding_box_format says how Keras reads the boxes of a dictionary, which no model is fed with. trains_by_default:
    Keras's `call` has training=True for its default.
    """

    trains_by_default: ClassVar[bool] = True
    # Whether Keras's layer computes with the height and width as plain numbers.
    needs_size: ClassVar[bool] = False
    ignored: ClassVar[frozenset[str]] = Layer.ignored | {"bounding_box_format"}

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], 4, "(batch, height, width, channels)")
        if self.needs_size and None in shapes[0][1:3]:
            raise SpecError(f"{type(self).__name__} needs to know the height and width of its input, got {shapes[0]}.",
                            hint="Give them in the Input's shape.")
        return shapes[0]


class Augmentation(ImageLayer):
    """Base of layers that change images at random in training, and hand them on as they are otherwise."""

    @property
    def stochastic(self) -> bool:
        return True


def require_colors(layer: Layer, shape: Shape, counts: tuple[int, ...] = (3,)) -> None:
    """Raises SpecError unless the images (channels last) have one of these numbers of channels."""
    if shape[-1] is not None and shape[-1] not in counts:
        wanted = " or ".join(map(str, counts))
        raise SpecError(f"{type(layer).__name__} needs images of {wanted} channels, got {shape}.")
