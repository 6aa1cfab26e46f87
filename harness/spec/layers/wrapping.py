"""TimeDistributed (keras/src/layers/rnn/time_distributed.py): a layer called on every step of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from harness.errors import SpecError
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known
from harness.spec.layers.cells import parse_nested
from harness.spec.products import Products, repeated


def _parse_layer(value: Any) -> Layer:
    from harness.spec.layers import LAYERS  # which holds this family as well

    if hasattr(value, "nodes") and hasattr(value, "layers"):
        raise SpecError("a whole model inside a layer is not supported.",
                        hint="Put the wrapper around each of its layers, which means the same.")
    return parse_nested(LAYERS, value)


LayerArgument = Annotated[Layer, BeforeValidator(_parse_layer)]


class TimeDistributed(Layer):
    """`layer` on (batch, ...) for each of the steps of (batch, steps, ...), one after the other: a
    BatchNormalization has the statistics of each step by itself, and moves its averages at each.

    The mask goes on; the layer gets the mask of its step. A layer that draws random numbers draws anew at each step.
    """

    mask_rule: ClassVar[MaskRule] = "own"

    layer: LayerArgument

    @property
    def stochastic(self) -> bool:
        return self.layer.stochastic

    def step_shape(self, *shapes: Shape) -> Shape:
        """What the layer is called on."""
        if len(shapes) != 1 or len(shapes[0]) < 3:
            raise SpecError(f"TimeDistributed expects one input of shape (batch, steps, ..., features), got "
                            f"{', '.join(map(str, shapes))}.")
        return (shapes[0][0], *shapes[0][2:])

    def remembers(self, *shapes: Shape) -> bool:
        """Whether a step leaves something for the next: moving averages."""
        return any(not weight.trainable for weight in self.layer.weights(self.step_shape(*shapes)))

    def compute_output_shape(self, *shapes: Shape) -> Shape:
        output = self.layer.compute_output_shape(self.step_shape(*shapes))
        if output and isinstance(output[0], tuple):
            raise SpecError("the layer inside a TimeDistributed must have one output.")
        if self.remembers(*shapes) or self.stochastic:
            known(shapes[0][1], self, "the number of steps")
        return (output[0], shapes[0][1], *output[1:])  # type: ignore[return-value]

    def check_masks(
        self, shapes: tuple[Shape, ...], masks: tuple[Shape | None, ...], arguments: Mapping[str, Any]
    ) -> None:
        if masks[0] is not None and self.layer.mask_rule == "own":  # of a step, without the steps
            self.layer.check_masks((self.step_shape(*shapes),), ((masks[0][0], *masks[0][2:]),), {})

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return tuple(
            replace(weight, trainable=weight.trainable and self.layer.trainable)
            for weight in self.layer.weights(self.step_shape(*shapes))
        )

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        return repeated(self.layer.products((self.step_shape(*shapes),), {}), shapes[0][1])


LAYERS = (TimeDistributed,)
