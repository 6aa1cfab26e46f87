"""Bidirectional (keras/src/layers/rnn/bidirectional.py): two recurrent layers that read the steps both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from harness.errors import SpecError
from harness.spec.configured import Family
from harness.spec.layers import recurrent, recurrent_convolutional
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight
from harness.spec.layers.cells import Part, parse_nested
from harness.spec.layers.recurrent import Recurrent
from harness.spec.layers.recurrent_calls import call_arguments, check_arguments
from harness.spec.layers.states import check_states
from harness.spec.products import Products, of_part

READERS: Family[Layer] = Family("recurrent layer", (*recurrent.LAYERS, *recurrent_convolutional.LAYERS))


def _parse(value: Any) -> Layer | None:
    return None if value is None else parse_nested(READERS, value)


RecurrentArgument = Annotated[Recurrent, BeforeValidator(_parse)]
OptionalRecurrent = Annotated[Recurrent | None, BeforeValidator(_parse)]


class Bidirectional(Layer):
    """`layer` and a second one that reads the steps the other way; merge_mode joins their outputs (None: both are
    returned). States: those of `layer`, then those of the second.

    backward_layer: the second, where it is not a copy of `layer` with go_backwards=True; like the copy, it has weights
    of its own. With return_sequences, masked steps give 0 (bidirectional.py: force_zero_output_for_mask).
    """

    mask_rule: ClassVar[MaskRule] = "own"
    keyword_only: ClassVar[frozenset[str]] = Layer.keyword_only | {"backward_layer"}

    layer: RecurrentArgument
    merge_mode: Literal["concat", "sum", "mul", "ave"] | None = "concat"
    backward_layer: OptionalRecurrent = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.pop("weights", None) is not None:
            raise SpecError("weights=[...] is not supported: a spec holds no weights.", where="Bidirectional",
                            hint="Give the arrays with layer.set_weights, or model.set_weights.")
        super().__init__(*args, **kwargs)

    @model_validator(mode="before")
    @classmethod
    def _settle(cls, values: Any) -> Any:
        """Leaves out what Keras does: a second layer that is the copy, arguments that are set inside."""
        if not isinstance(values, dict) or "layer" not in values:
            return values
        layer, back = parse_nested(READERS, values["layer"]), _parse(values.get("backward_layer"))
        assert isinstance(layer, Recurrent)
        layer = _with(layer, zero_output_for_mask=False, name=None, **_only(layer, implementation=2))
        if back is not None:
            assert isinstance(back, Recurrent)
            back = _with(back, zero_output_for_mask=False, name=None)
            if not layer.go_backwards and back.to_data() == _with(layer, go_backwards=True).to_data():
                back = None
        return {**values, "layer": layer, "backward_layer": back}

    @model_validator(mode="after")
    def _check(self) -> Bidirectional:
        ahead, back = self.layer, self.second
        if ahead.go_backwards == back.go_backwards:
            raise SpecError("the two layers of a Bidirectional read the same way, "
                            f"go_backwards={ahead.go_backwards}.",
                            hint="Leave backward_layer out and go_backwards=False, or give a backward_layer that reads "
                                 "the other way.")
        for name in ("return_sequences", "return_state"):
            if getattr(ahead, name) != getattr(back, name):
                raise SpecError(f"layer and backward_layer need the same {name}.")
        for inner in (ahead, back):
            if inner.activity_penalties:
                raise SpecError("the activity_regularizer of a layer inside a Bidirectional is not supported.",
                                hint="Give it to the Bidirectional.")
        return self

    @property
    def second(self) -> Recurrent:
        """The layer that reads the other way."""
        return self.backward_layer or _with(self.layer, go_backwards=True)

    @property
    def ends_masks(self) -> bool:
        return self.layer.ends_masks

    def check_masks(
        self, shapes: tuple[Shape, ...], masks: tuple[Shape | None, ...], arguments: Mapping[str, Any]
    ) -> None:
        for inner in (self.layer, self.second):
            inner.check_masks(shapes, masks, arguments)

    @property
    def stochastic(self) -> bool:
        return self.layer.stochastic or self.second.stochastic

    def dropout_parts(self, step: Shape) -> tuple[Part, ...]:
        """The dropout masks of one call, those of `layer` first."""
        return (*self.layer.dropout_parts(step), *self.second.dropout_parts(step))

    def compute_output_shape(self, *shapes: Shape) -> Shape | tuple[Shape, ...]:
        result, other = self.layer.compute_output_shape(*shapes), self.second.compute_output_shape(*shapes)
        output, *states = result if self.layer.return_state else (result,)
        of_second, *second_states = other if self.layer.return_state else (other,)
        if output != of_second or states != second_states:
            raise SpecError(f"the layers of a Bidirectional give {result} and {other}: Keras takes the shapes of the "
                            "second for those of the first.", hint="Give both as many units.")
        assert isinstance(output, tuple)
        if self.merge_mode == "concat":
            output = (*output[:-1], None if output[-1] is None else 2 * output[-1])  # type: ignore[operator]
        outputs = (output, output) if self.merge_mode is None else (output,)
        every = (*outputs, *states, *states)
        return every if len(every) > 1 else output  # type: ignore[return-value]

    def call_shape(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Shape | tuple[Shape, ...]:
        result = self.compute_output_shape(*shapes)
        if "initial_state" in arguments:
            ahead, back = self.layer.state_shapes(*shapes), self.second.state_shapes(*shapes)
            if len(ahead) != len(back):
                raise SpecError("an initial_state of two layers with different states: Keras halves it wrongly.")
            check_states(self, "initial_state", arguments["initial_state"], [*ahead, *back])
        return result

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return tuple(
            replace(weight, role=f"{direction}/{weight.role}", trainable=weight.trainable and layer.trainable)
            for direction, layer in (("forward", self.layer), ("backward", self.second))
            for weight in layer.weights(*shapes)
        )

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        ahead = of_part(self.layer.products(shapes, arguments), "forward/")
        back = of_part(self.second.products(shapes, arguments), "backward/")
        return None if ahead is None or back is None else (*ahead, *back)

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have."""
        check_arguments(self, arguments, self.layer.return_sequences)

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        given = call_arguments(inputs, arguments)
        self.check_call(given)
        return super().__call__(*inputs[:1], **given)


def _with(layer: Recurrent, **changes: Any) -> Recurrent:
    return type(layer)(**{**dict(layer), **changes})


def _only(layer: Recurrent, **values: Any) -> dict[str, Any]:
    """Those of the arguments that the layer has."""
    return {name: value for name, value in values.items() if name in type(layer).model_fields}


LAYERS = (Bidirectional,)
