"""TimeDistributed (keras/src/layers/rnn/time_distributed.py): a layer called on every step of a sequence."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, field_validator

from harness.errors import SpecError
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known


def _parse_layer(value: Any) -> Layer:
    from harness.spec.layers import LAYERS  # which holds this family as well

    return LAYERS.parse(value)


LayerArgument = Annotated[Layer, BeforeValidator(_parse_layer)]


class TimeDistributed(Layer):
    """`layer` on (batch, ...) for each of the steps of (batch, steps, ...), one after the other: a
    BatchNormalization has the statistics of each step by itself, and moves its averages at each.

    The mask goes on; the layer gets the mask of its step. Layers that draw random numbers are refused.
    """

    mask_rule: ClassVar[MaskRule] = "own"

    layer: LayerArgument

    @field_validator("layer")
    @classmethod
    def _refuse_random(cls, layer: Layer) -> Layer:
        if layer.stochastic:
            raise SpecError(f"TimeDistributed around {type(layer).__name__} is not supported: it draws random numbers "
                            "at every step.", hint="A Dropout on the whole sequence drops each step by itself.")
        return layer

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
        if self.remembers(*shapes):
            known(shapes[0][1], self, "the number of steps")
        return (output[0], shapes[0][1], *output[1:])  # type: ignore[return-value]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return tuple(
            Weight(weight.role, weight.shape, weight.initializer, weight.trainable and self.layer.trainable,
                   weight.regularizer, weight.fans)
            for weight in self.layer.weights(self.step_shape(*shapes))
        )

    def flops(self, *shapes: Shape) -> int | None:
        one, steps = self.layer.flops(self.step_shape(*shapes)), shapes[0][1]
        if one == 0:
            return 0
        return None if one is None or steps is None else one * steps


LAYERS = (TimeDistributed,)
