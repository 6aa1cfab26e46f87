"""Layers that change the values of pixels (keras/src/layers/preprocessing/image_preprocessing), most of them at random
and in training only. value_range: the smallest and largest value of a pixel."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from harness.errors import SpecError
from harness.spec.layers.augmentation_arguments import (
    Augmentation,
    ChannelsLast,
    Factor,
    ImageLayer,
    Pair,
    SignedFactor,
    ValueRange,
    pair_reader,
    require_colors,
)
from harness.spec.layers.base import Shape
from harness.spec.layers.spatial import DataFormat, either_layout


class RandomContrast(Augmentation):
    """(x - mean of the channel) * (1 + c) + mean, c drawn from -factor[0] to factor[1] for each image."""

    factor: Factor
    value_range: tuple[float, float] = (0.0, 255.0)
    seed: int | None = None
    data_format: DataFormat = "channels_last"


class RandomBrightness(Augmentation):
    """Adds a share of the value range to each image; a factor f stands for (-f, f)."""

    factor: SignedFactor
    value_range: ValueRange = (0.0, 255.0)
    seed: int | None = None
    data_format: DataFormat = "channels_last"


class _Colored(Augmentation):
    """Needs red, green and blue."""

    counts: ClassVar[tuple[int, ...]] = (3,)

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        shape = super().compute_output_shape(*shapes)
        require_colors(self, shape, self.counts)
        return shape


class RandomHue(_Colored):
    """Turns the hue by up to half of `factor` of a full turn, in either direction."""

    factor: Factor
    value_range: tuple[float, float] = (0.0, 255.0)
    data_format: DataFormat = "channels_last"
    seed: int | None = None


class RandomSaturation(_Colored):
    """Multiplies the saturation by f / (1 - f), f drawn from `factor`: 0.5 changes nothing."""

    factor: SignedFactor
    value_range: ValueRange = (0.0, 255.0)
    data_format: DataFormat = "channels_last"
    seed: int | None = None


class RandomSharpness(Augmentation):
    """x + (1 - 2 f) * (smoothed x - x), f drawn from `factor`: 0 is smooth, 1 is sharp."""

    factor: Factor
    value_range: ValueRange = (0.0, 255.0)
    data_format: DataFormat = "channels_last"
    seed: int | None = None


class RandomGrayscale(_Colored):
    """Makes images gray with probability `factor`."""

    counts: ClassVar[tuple[int, ...]] = (1, 3)

    factor: float = Field(default=0.5, ge=0, le=1)
    data_format: DataFormat = "channels_last"
    seed: int | None = None


class RandomColorDegeneration(_Colored):
    """x + f * (gray x - x), f drawn from `factor`."""

    factor: SignedFactor
    value_range: ValueRange = (0.0, 255.0)
    data_format: DataFormat = "channels_last"
    seed: int | None = None


class RandomInvert(Augmentation):
    """value_range[1] - x, with a probability drawn from `factor`."""

    factor: Factor = (0.0, 1.0)
    value_range: tuple[float, float] = (0.0, 255.0)
    seed: int | None = None
    data_format: DataFormat = "channels_last"


def _bits(value: Any) -> tuple[int, int]:
    low, high = pair_reader(1, 8)(value)
    if not isinstance(value, (list, tuple)):
        low = 1.0
    if low != int(low) or high != int(high):
        raise SpecError(f"expected whole numbers of bits from 1 to 8, got {value!r}.")
    return int(low), int(high)


class RandomPosterization(Augmentation):
    """Keeps the upper bits of each pixel's eight: factor[0] to factor[1] - 1 of them. A number f stands for (1, f)."""

    factor: Annotated[tuple[int, int], BeforeValidator(_bits)]
    value_range: ValueRange = (0.0, 255.0)
    data_format: DataFormat = "channels_last"
    seed: int | None = None


Upwards = Annotated[Pair, BeforeValidator(pair_reader(0, 1, mirrored=False))]


class Solarization(Augmentation):
    """Adds a share of 255, then 255 - x where x is at least the threshold, a share of 255."""

    addition_factor: Upwards = (0.0, 0.0)
    threshold_factor: Upwards = (0.0, 0.0)
    value_range: ValueRange = (0.0, 255.0)
    seed: int | None = None
    data_format: DataFormat = "channels_last"


class Equalization(ImageLayer):
    """Spreads the histogram of each channel over the value range: that of the whole batch at once, in training."""

    value_range: ValueRange = (0.0, 255.0)
    bins: int = Field(default=256, gt=1)
    data_format: DataFormat = "channels_last"


class AutoContrast(ImageLayer):
    """Stretches each channel of each image to the whole value range, in training and at inference."""

    value_range: ValueRange = (0.0, 255.0)
    data_format: ChannelsLast = "channels_last"


class RandomGaussianBlur(Augmentation):
    """Blurs images with a probability drawn from `factor`, with a standard deviation drawn from `sigma` for x and y."""

    factor: Factor = (0.0, 1.0)
    kernel_size: Annotated[tuple[int, int], BeforeValidator(lambda value: _odd(value))] = (3, 3)
    sigma: Factor = (0.0, 1.0)
    value_range: tuple[float, float] = (0.0, 255.0)
    data_format: DataFormat = "channels_last"
    seed: int | None = None


def _odd(value: Any) -> tuple[int, int]:
    sizes = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(sizes) != 2 or any(isinstance(size, bool) or size != int(size) or size < 1 or size % 2 == 0
                              for size in sizes):
        raise SpecError(f"expected an odd number, or two, got {value!r}.")
    return int(sizes[0]), int(sizes[1])


class RandomColorJitter(_Colored):
    """RandomBrightness, RandomContrast, RandomSaturation and RandomHue in a row, those with a factor."""

    value_range: ValueRange = (0.0, 255.0)
    brightness_factor: SignedFactor | None = None
    contrast_factor: Factor | None = None
    saturation_factor: SignedFactor | None = None
    hue_factor: Factor | None = None
    seed: int | None = None
    data_format: ChannelsLast = "channels_last"

    @property
    def stochastic(self) -> bool:
        return any(factor is not None for factor in (
            self.brightness_factor, self.contrast_factor, self.saturation_factor, self.hue_factor))


LAYERS = (RandomContrast, RandomBrightness, RandomHue, RandomSaturation, RandomSharpness, RandomGrayscale,
          RandomColorDegeneration, RandomInvert, RandomPosterization, Solarization, Equalization, AutoContrast,
          RandomGaussianBlur, RandomColorJitter)
