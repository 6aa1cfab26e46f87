"""Layers that mix images or chain other augmentations (keras/src/layers/preprocessing/image_preprocessing)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.errors import SpecError
from harness.spec.layers.augmentation_arguments import (
    Augmentation,
    ChannelsLast,
    Factor,
    ImageLayer,
    Interpolation,
    ValueRange,
    require_colors,
)
from harness.spec.layers.base import Shape
from harness.spec.layers.spatial import DataFormat


class MixUp(Augmentation):
    """w * x + (1 - w) * another image of the batch, w of the beta distribution (alpha, alpha). Labels stay as they
    are: Keras mixes them in a dictionary of data only."""

    alpha: float = Field(default=0.2, gt=0)
    data_format: DataFormat = "channels_last"
    seed: int | None = None


class CutMix(Augmentation):
    """Puts a rectangle of another image of the batch into each image. Labels stay as they are, as in MixUp."""

    needs_size: ClassVar[bool] = True

    factor: Factor = (0.0, 1.0)
    seed: int | None = None
    data_format: DataFormat = "channels_last"


class RandAugment(Augmentation):
    """num_ops operations out of eleven, drawn for the whole batch, one after the other.

    factor: how strong each is. Images are of red, green and blue.
    """

    value_range: ValueRange = (0.0, 255.0)
    num_ops: int = Field(default=2, ge=1)
    factor: Factor = (0.0, 0.5)
    interpolation: Interpolation = "bilinear"
    seed: int | None = None
    data_format: ChannelsLast = "channels_last"

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        shape = super().compute_output_shape(*shapes)
        require_colors(self, shape, (1, 3))
        if self.factor[0] < 0:
            raise SpecError(f"RandAugment: factor is at least 0, got {self.factor}.")
        return shape


class ContrastLimitedAdaptiveHistogramEqualization(ImageLayer):
    """Equalizes the histogram of each tile of each channel, clipped at clip_limit, and blends between the tiles; in
    training and at inference, computed in float32."""

    value_range: ValueRange = (0.0, 255.0)
    clip_limit: float = 4.0
    tile_grid_size: tuple[int, int] = (8, 8)
    data_format: DataFormat = "channels_last"


LAYERS = (MixUp, CutMix, RandAugment, ContrastLimitedAdaptiveHistogramEqualization)
