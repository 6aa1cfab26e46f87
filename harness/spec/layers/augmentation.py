"""Layers that move pixels at random (keras/src/layers/preprocessing/image_preprocessing), in training only."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from harness.errors import SpecError
from harness.spec.layers.augmentation_arguments import (
    Augmentation,
    Factor,
    FillMode,
    Interpolation,
    Pair,
    SignedFactor,
    pair_reader,
)
from harness.spec.layers.base import Shape
from harness.spec.layers.spatial import DataFormat, either_layout


class RandomFlip(Augmentation):
    """Mirrors each image with probability 1/2; in both directions at once with "horizontal_and_vertical"."""

    mode: Literal["horizontal", "vertical", "horizontal_and_vertical"] = "horizontal_and_vertical"
    seed: int | None = None
    data_format: DataFormat = "channels_last"


class RandomCrop(Augmentation):
    """Cuts one random window of all images of a batch; what is not larger in both directions is cut in the middle
    and resized. Keras 3.15 hands the images on uncut at inference, so that a model then sees other sizes."""

    needs_size: ClassVar[bool] = True

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    seed: int | None = None
    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        batch, _, _, channels = super().compute_output_shape(*shapes)
        return (batch, self.height, self.width, channels)


class RandomTranslation(Augmentation):
    """Moves each image by shares of its height and width; a factor f stands for (-f, f)."""

    height_factor: SignedFactor
    width_factor: SignedFactor
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: int | None = None
    fill_value: float = 0.0
    data_format: DataFormat = "channels_last"


class RandomRotation(Augmentation):
    """Turns each image about its middle by a share of a full turn; a factor f stands for (-f, f)."""

    factor: SignedFactor
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: int | None = None
    fill_value: float = 0.0
    data_format: DataFormat = "channels_last"


def _zoom(value: Any) -> Pair:
    pair = pair_reader(-1, 1)(value)
    if pair[0] <= -1:
        raise SpecError(f"expected a number, or two, above -1 and up to 1, got {value!r}.")
    return pair


Zoom = Annotated[Pair, BeforeValidator(_zoom)]


class RandomZoom(Augmentation):
    """Shrinks (factor above 0) or enlarges (below 0) each image about its middle. width_factor=None: as the height,
    with one number for both."""

    height_factor: Zoom
    width_factor: Zoom | None = None
    fill_mode: FillMode = "reflect"
    interpolation: Interpolation = "bilinear"
    seed: int | None = None
    fill_value: float = 0.0
    data_format: DataFormat = "channels_last"


class RandomShear(Augmentation):
    """Slants each image along x and y; a factor f stands for (-f, f), of pixels per pixel."""

    x_factor: Annotated[Pair, BeforeValidator(lambda value: _shear(value))] = (0.0, 0.0)
    y_factor: Annotated[Pair, BeforeValidator(lambda value: _shear(value))] = (0.0, 0.0)
    interpolation: Interpolation = "bilinear"
    fill_mode: FillMode = "reflect"
    fill_value: float = 0.0
    data_format: DataFormat = "channels_last"
    seed: int | None = None


def _shear(value: Any) -> Pair:
    """A number f in [0, 1] is (-f, f); two numbers are in [0, 1], but for (-f, f) itself, which Keras's own
    configuration of such a layer holds."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] == -value[1]:
        return pair_reader(-1, 1)(value)
    pair = pair_reader(0, 1)(value)
    return pair if isinstance(value, (list, tuple)) else (-pair[1], pair[1])


class RandomPerspective(Augmentation):
    """Views images from a random side: each with a probability drawn from `factor`, the corners moved by up to half
    of `scale`."""

    needs_size: ClassVar[bool] = True

    factor: Factor = (0.0, 1.0)
    scale: float = Field(default=1.0, ge=0, le=1)
    interpolation: Interpolation = "bilinear"
    fill_value: float = 0.0
    seed: int | None = None
    data_format: DataFormat = "channels_last"


class RandomErasing(Augmentation):
    """Puts noise (fill_value=None) or a value into a random rectangle of images.

    factor: from which the probability is drawn. scale: of the rectangle's area, drawn for each side.
    """

    needs_size: ClassVar[bool] = True

    factor: Factor = (0.0, 1.0)
    scale: Factor = (0.02, 0.33)
    fill_value: float | tuple[float, float, float] | None = None
    value_range: tuple[float, float] = (0.0, 255.0)
    seed: int | None = None
    data_format: DataFormat = "channels_last"

    @field_validator("fill_value", mode="before")
    @classmethod
    def _check_fill(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and len(value) != 3:
            raise SpecError(f"expected a number, or one for each of three channels, got {value!r}.")
        return value


LAYERS = (RandomFlip, RandomCrop, RandomTranslation, RandomRotation, RandomZoom, RandomShear, RandomPerspective,
          RandomErasing)
