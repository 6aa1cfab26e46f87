"""Layers that bring images to a size (keras/src/layers/preprocessing/image_preprocessing)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from harness.errors import SpecError
from harness.spec.layers.augmentation_arguments import ImageLayer
from harness.spec.layers.base import Shape
from harness.spec.layers.spatial import DataFormat, either_layout


class Resizing(ImageLayer):
    """Images in another size: stretched, or cropped or padded (with fill_value) to the new aspect ratio before.

    Whole numbers become floating-point first, as in Keras's compiled training.
    """

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    interpolation: Literal["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area"] = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    fill_mode: Literal["constant"] = "constant"
    fill_value: float = 0.0
    antialias: bool = False
    data_format: DataFormat = "channels_last"

    @model_validator(mode="after")
    def _check(self) -> Any:
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise SpecError("only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True.")
        return self

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        batch, _, _, channels = super().compute_output_shape(*shapes)
        return (batch, self.height, self.width, channels)


class CenterCrop(ImageLayer):
    """The middle of the images; what is too small is cropped to the aspect ratio and resized."""

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    data_format: DataFormat = "channels_last"

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        batch, _, _, channels = super().compute_output_shape(*shapes)
        return (batch, self.height, self.width, channels)


LAYERS = (Resizing, CenterCrop)
