"""The layers that keras.applications defines for itself (keras/src/applications): parts of ConvNeXt and of
InceptionResNetV2."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from harness.errors import SpecError
from harness.spec.initializers import Constant
from harness.spec.layers.base import Layer, Shape, Weight


class LayerScale(Layer):
    """x * gamma, one learned number for each of the last axis's `projection_dim` features (convnext.py)."""

    init_values: float
    projection_dim: int = Field(gt=0)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if shape[-1] not in (1, None, self.projection_dim) and self.projection_dim != 1:
            raise SpecError(f"LayerScale of {self.projection_dim} features cannot scale inputs of shape {shape}.")
        return (*shape[:-1], max(self.projection_dim, shape[-1]) if shape[-1] is not None else None)

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return (Weight("gamma", (self.projection_dim,), Constant(value=self.init_values)),)


class StochasticDepth(Layer):
    """Drops whole examples of a batch in training and scales the others by 1 / (1 - drop_path_rate) (convnext.py)."""

    drop_path_rate: float = Field(ge=0, lt=1)

    @property
    def stochastic(self) -> bool:
        return self.drop_path_rate > 0


class CustomScaleLayer(Layer):
    """The first input plus `scale` times the second (inception_resnet_v2.py)."""

    scale: float
    # Keras calls it on a list.
    merges: ClassVar[bool] = True

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) != 2 or len(shapes[0]) != len(shapes[1]):
            raise SpecError(f"CustomScaleLayer takes two tensors of one rank, got {', '.join(map(str, shapes))}.",
                            hint="Call it on a list: layer([x, residual]).")
        return tuple(self._size(first, second) for first, second in zip(*shapes, strict=True))

    def _size(self, first: int | None, second: int | None) -> int | None:
        if first == second or second == 1:
            return first
        if first in (1, None):
            return second
        if second is None:
            return first
        raise SpecError(f"CustomScaleLayer cannot add sizes {first} and {second}.")


LAYERS = (LayerScale, StochasticDepth, CustomScaleLayer)
