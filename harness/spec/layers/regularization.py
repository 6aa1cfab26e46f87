"""Regularisation layers (keras/src/layers/regularization): dropout and noise, in training only."""

import math
from typing import ClassVar

from pydantic import Field, field_validator

from harness.errors import SpecError
from harness.spec.layers.base import Layer, MaskRule, Shape, require_rank
from harness.spec.layers.spatial import DataFormat
from harness.spec.regularizers import L1L2, Regularizer


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

    # Keras's signature: (rate, data_format, seed).
    keyword_only: ClassVar[frozenset[str]] = SpatialDropout1D.keyword_only | {"seed"}
    rank: ClassVar[int] = 4

    data_format: DataFormat = "channels_last"


class GaussianNoise(Layer):
    """Adds normal noise with mean 0 and the given standard deviation."""

    mask_rule: ClassVar[MaskRule] = "pass"

    stddev: float = Field(ge=0, le=1)
    seed: int | None = None

    @property
    def stochastic(self) -> bool:
        return self.stddev > 0


class SpatialDropout3D(SpatialDropout1D):
    """Drops whole channels of (batch, depth, height, width, channels)."""

    keyword_only: ClassVar[frozenset[str]] = SpatialDropout1D.keyword_only | {"seed"}
    rank: ClassVar[int] = 5

    data_format: DataFormat = "channels_last"


class GaussianDropout(Layer):
    """Multiplies by normal noise with mean 1 and the standard deviation sqrt(rate / (1 - rate))."""

    mask_rule: ClassVar[MaskRule] = "pass"

    rate: float = Field(ge=0, lt=1)
    seed: int | None = None

    @property
    def stochastic(self) -> bool:
        return self.rate > 0

    @property
    def stddev(self) -> float:
        return math.sqrt(self.rate / (1.0 - self.rate))


class AlphaDropout(Layer):
    """Sets elements to SELU's negative limit with probability `rate`, then keeps mean and variance:
    a * x + b. noise_shape: as for Dropout."""

    mask_rule: ClassVar[MaskRule] = "pass"

    rate: float = Field(ge=0, lt=1)
    noise_shape: tuple[int | None, ...] | None = None
    seed: int | None = None

    @property
    def stochastic(self) -> bool:
        return self.rate > 0

    def affine(self) -> tuple[float, float, float]:
        """(SELU's negative limit, a, b), as keras/src/layers/regularization/alpha_dropout.py computes them."""
        limit = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
        a = ((1 - self.rate) * (1 + self.rate * limit**2)) ** -0.5
        return limit, a, -a * limit * self.rate


class ActivityRegularization(Layer):
    """Hands its input on, and adds l1 * sum(|x|) + l2 * sum(x^2), over the batch size, to the loss."""

    mask_rule: ClassVar[MaskRule] = "pass"
    # Keras's class has no such argument.
    regularizes_outputs: ClassVar[bool] = False

    l1: float = Field(default=0.0, ge=0)
    l2: float = Field(default=0.0, ge=0)

    @field_validator("activity_regularizer")
    @classmethod
    def _refuse_another(cls, value: Regularizer | None) -> None:
        if value is not None:
            raise SpecError("ActivityRegularization takes l1 and l2, no regularizer.")

    @property
    def activity_penalties(self) -> tuple[Regularizer, ...]:
        return (L1L2(l1=self.l1, l2=self.l2),)


LAYERS = (
    Dropout, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, GaussianNoise, GaussianDropout, AlphaDropout,
    ActivityRegularization,
)
