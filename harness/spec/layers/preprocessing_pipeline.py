"""Pipeline (keras/src/layers/preprocessing/pipeline.py): several layers as one."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from harness.errors import SpecError
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight
from harness.spec.layers.wrapping import LayerArgument


class Pipeline(Layer):
    """`layers`, one after the other: layers without weights, with one input and one output each."""

    mask_rule: ClassVar[MaskRule] = "drop"
    trains_by_default: ClassVar[bool] = True

    layers: tuple[LayerArgument, ...] = Field(min_length=1)

    @property
    def stochastic(self) -> bool:
        return any(layer.stochastic for layer in self.layers)

    def shapes_between(self, *shapes: Shape) -> tuple[Shape, ...]:
        """What each layer is called on, and, last, what comes out."""
        if len(shapes) != 1:
            raise SpecError(f"Pipeline takes one input, got {len(shapes)}.")
        between = [shapes[0]]
        for layer in self.layers:
            name = type(layer).__name__
            output: Any = layer.compute_output_shape(between[-1])
            if layer.weights(between[-1]) or layer.mask_rule == "own" or (output and isinstance(output[0], tuple)):
                raise SpecError(f"Pipeline: {name} has weights, masks or several outputs.",
                                hint="Put the layers into the model itself, one after the other.")
            if getattr(type(layer), "host", False):
                raise SpecError(f"Pipeline: {name} is computed on the host.", hint="Put it before the Pipeline.")
            between.append(output)
        return tuple(between)

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        return self.shapes_between(*shapes)[-1]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return ()


LAYERS = (Pipeline,)
