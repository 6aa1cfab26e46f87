"""Regularisation layers (keras/src/layers/regularization): dropout and noise, in training only."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.spec.layers.base import Layer, MaskRule, Shape, require_rank


class Dropout(Layer):
    """Zeroes each element with probability `rate` and scales the rest by 1 / (1 - rate).

    noise_shape: shape of the mask, 1 or None per dimension as in Keras (None: the input's size).
    """

    mask_rule: ClassVar[MaskRule] = "pass"

    rate: float = Field(ge=0, le=1)
    noise_shape: tuple[int | None, ...] | None = None
    seed: int | None = None

    @property
    def stochastic(self) -> bool:
        return self.rate > 0


class SpatialDropout1D(Layer):
    """Drops whole channels of (batch, steps, channels)."""

    mask_rule: ClassVar[MaskRule] = "pass"
    rank: ClassVar[int] = 3

    rate: float = Field(ge=0, le=1)
    seed: int | None = None

    @property
    def stochastic(self) -> bool:
        return self.rate > 0

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        require_rank(self, shapes[0], self.rank, "(batch, ..., channels)")
        return shapes[0]


class SpatialDropout2D(SpatialDropout1D):
    """Drops whole channels of (batch, height, width, channels)."""

    rank: ClassVar[int] = 4


class GaussianNoise(Layer):
    """Adds normal noise with mean 0 and the given standard deviation."""

    mask_rule: ClassVar[MaskRule] = "pass"

    stddev: float = Field(ge=0)
    seed: int | None = None

    @property
    def stochastic(self) -> bool:
        return self.stddev > 0


LAYERS = (Dropout, SpatialDropout1D, SpatialDropout2D, GaussianNoise)
