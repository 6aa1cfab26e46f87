"""Recurrent layers (keras/src/layers/rnn): SimpleRNN, LSTM, GRU, and Bidirectional around one of them.

Shape letters: B batch, T steps, I input features, H units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.activations import ActivationArgument
from harness.spec.configured import Family
from harness.spec.initializers import ForgetGateBias, Initializer, InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known, require_rank
from harness.spec.regularizers import RegularizerArgument

# The last argument of a dropout rate: Keras treats a rate of 1 differently in each of its code paths.
Rate = Annotated[float, Field(ge=0, lt=1)]


class Recurrent(Layer):
    """Base of the recurrent layers: (B, T, I) to (B, H), or (B, T, H) with return_sequences.

    return_state appends the last state(s), each (B, H). A call may give `initial_state`: one tensor (B, H)
    per state; Keras then ignores the mask of the sequences (layer.py, "Populate mask argument(s)").
    zero_output_for_mask: the output of a masked step is 0, not that of the step before.
    go_backwards: the steps are read, and with return_sequences returned, from the last to the first.
    """

    mask_rule: ClassVar[MaskRule] = "own"
    # Keras's signatures hold arguments between these that the harness does not know (constraints).
    keyword_only: ClassVar[frozenset[str]] = Layer.keyword_only | {
        "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer", "kernel_regularizer",
        "recurrent_regularizer", "bias_regularizer", "dropout", "recurrent_dropout", "seed", "return_sequences",
        "return_state", "go_backwards", "unroll", "zero_output_for_mask",
    }
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    units: int = Field(gt=0)
    activation: ActivationArgument = "tanh"
    use_bias: bool = True
    kernel_initializer: InitializerArgument = initializer_argument("glorot_uniform")
    recurrent_initializer: InitializerArgument = initializer_argument("orthogonal")
    bias_initializer: InitializerArgument = initializer_argument("zeros")
    kernel_regularizer: RegularizerArgument = None
    recurrent_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None
    dropout: Rate = 0.0
    recurrent_dropout: Rate = 0.0
    seed: int | None = None
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.pop("stateful", False):
            raise SpecError("stateful=True is not supported: what a batch computes would depend on the batches "
                            "before it.", where=type(self).__name__, hint="Use return_state and initial_state.")
        super().__init__(*args, **kwargs)

    @property
    def stochastic(self) -> bool:
        return self.dropout > 0 or self.recurrent_dropout > 0

    @property
    def dropout_masks(self) -> tuple[int, int]:
        """How many dropout masks one call draws, each fixed over the steps: for the input (B, I), for the
        state (B, H). With recurrent dropout one per gate, else one for all (dropout_rnn_cell.py)."""
        count = self.gates if self.recurrent_dropout > 0 else 1
        return (count if self.dropout > 0 else 0), (count if self.recurrent_dropout > 0 else 0)

    def compute_output_shape(self, *shapes: Shape) -> Shape | tuple[Shape, ...]:
        if len(shapes) != 1:
            raise SpecError(f"{type(self).__name__} takes one tensor of sequences, got {len(shapes)}.",
                            hint="Give the first state as initial_state=[...].")
        require_rank(self, shapes[0], 3, "(batch, steps, features)")
        batch, steps, features = shapes[0]
        known(features, self, "the last dimension")
        if self.unroll:
            known(steps, self, "the number of steps (unroll=True)")
        output: Shape = (batch, steps, self.units) if self.return_sequences else (batch, self.units)
        return (output, *((batch, self.units),) * self.states) if self.return_state else output

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        inputs, width = known(shapes[0][-1], self, "the last dimension"), self.gates * self.units
        weights = (
            Weight("kernel", (inputs, width), self.kernel_initializer, regularizer=self.kernel_regularizer),
            Weight("recurrent_kernel", (self.units, width), self.recurrent_initializer,
                   regularizer=self.recurrent_regularizer),
        )
        if not self.use_bias:
            return weights
        return (*weights, Weight("bias", self.bias_shape, self.bias_values, regularizer=self.bias_regularizer))

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    @property
    def bias_values(self) -> Initializer:
        return self.bias_initializer

    def flops(self, *shapes: Shape) -> int | None:
        _, steps, inputs = shapes[0]
        return None if steps is None or inputs is None else 2 * self.gates * self.units * (inputs + self.units) * steps

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have, or of the wrong shape."""
        check_initial_state(self, arguments, [self.units] * self.states)

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        return super().__call__(*inputs[:1], **call_arguments(self, inputs, arguments))


class SimpleRNN(Recurrent):
    """h = activation(x @ kernel + bias + h @ recurrent_kernel)."""


class Gated(Recurrent):
    """Base of LSTM and GRU.

    use_cudnn: which kernel Keras may take on a GPU; it changes no result. implementation: 1 keeps the gates'
    matrix products apart in Keras, with the same result.
    """

    keyword_only: ClassVar[frozenset[str]] = Recurrent.keyword_only | {"use_cudnn", "implementation"}

    recurrent_activation: ActivationArgument = "sigmoid"
    use_cudnn: bool | Literal["auto"] = "auto"
    implementation: Literal[1, 2] = 2

    @model_validator(mode="after")
    def _refuse_list_of_masks(self) -> Gated:
        if self.implementation == 1 and self.dropout > 0 and self.recurrent_dropout == 0:
            raise SpecError("implementation=1 with dropout, without recurrent_dropout, fails in Keras itself.",
                            hint="Leave implementation out.")
        return self


class LSTM(Gated):
    """Long short-term memory; gates i, f, c, o side by side in kernel (I, 4H).

    c = f * c + i * activation(.), h = o * activation(c); states h, c. unit_forget_bias: the bias of the
    forget gate starts at 1.
    """

    keyword_only: ClassVar[frozenset[str]] = Gated.keyword_only | {"unit_forget_bias"}
    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    unit_forget_bias: bool = True

    @property
    def bias_values(self) -> Initializer:
        if not self.unit_forget_bias:
            return self.bias_initializer
        return ForgetGateBias(units=self.units, others=self.bias_initializer)


class GRU(Gated):
    """Gated recurrent unit; gates z, r, h side by side in kernel (I, 3H).

    h = z * h + (1 - z) * activation(.). reset_after: the reset gate multiplies h @ recurrent_kernel (and the
    bias has a second row for it), else it multiplies h before.
    """

    keyword_only: ClassVar[frozenset[str]] = Gated.keyword_only | {"reset_after"}
    gates: ClassVar[int] = 3

    reset_after: bool = True

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)


RECURRENT: Family[Recurrent] = Family("recurrent layer", (SimpleRNN, LSTM, GRU))

RecurrentArgument = Annotated[Recurrent, BeforeValidator(RECURRENT.parse)]


class Bidirectional(Layer):
    """A recurrent layer and a second one that reads the steps backwards; merge_mode joins their outputs
    (None: both are returned).

    The second is a copy of the first with weights of its own. With return_sequences, masked steps give 0
    (bidirectional.py: force_zero_output_for_mask). States: those forward, then those backward.
    """

    mask_rule: ClassVar[MaskRule] = "own"

    layer: RecurrentArgument
    merge_mode: Literal["concat", "sum", "mul", "ave"] | None = "concat"

    @field_validator("layer")
    @classmethod
    def _refuse_backwards(cls, layer: Recurrent) -> Recurrent:
        if layer.go_backwards:
            raise SpecError("the layer inside a Bidirectional reads forwards: go_backwards must be False.")
        return layer

    @property
    def stochastic(self) -> bool:
        return self.layer.stochastic

    def compute_output_shape(self, *shapes: Shape) -> Shape | tuple[Shape, ...]:
        result = self.layer.compute_output_shape(*shapes)
        output, *states = result if self.layer.return_state else (result,)
        assert isinstance(output, tuple)
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * self.layer.units)
        outputs = (output, output) if self.merge_mode is None else (output,)
        every = (*outputs, *states, *states)
        return every if len(every) > 1 else output  # type: ignore[return-value]

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return tuple(
            Weight(f"{direction}/{weight.role}", weight.shape, weight.initializer, weight.trainable,
                   weight.regularizer, weight.fans)
            for direction in ("forward", "backward") for weight in self.layer.weights(*shapes)
        )

    def flops(self, *shapes: Shape) -> int | None:
        one = self.layer.flops(*shapes)
        return None if one is None else 2 * one

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have, or of the wrong shape."""
        check_initial_state(self, arguments, [self.layer.units] * (2 * self.layer.states))

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        return super().__call__(*inputs[:1], **call_arguments(self, inputs, arguments))


def call_arguments(
    layer: Recurrent | Bidirectional, inputs: tuple[Any, ...], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call, checked; `lstm(x, [h, c])` means initial_state=[h, c], as in Keras."""
    if len(inputs) == 2:
        arguments = {"initial_state": inputs[1], **arguments}
    given = {name: value for name, value in arguments.items() if value is not None}
    layer.check_call(given)
    return given


def check_initial_state(layer: Layer, arguments: Mapping[str, Any], units: list[int]) -> None:
    """Raises SpecError unless the only argument is `initial_state`, one tensor (B, units) per state."""
    kind = type(layer).__name__
    for name in arguments:
        if name != "initial_state":
            raise SpecError(f"a call of {kind} has no argument {name!r}.", hint=did_you_mean(name, ["initial_state"]))
    if "initial_state" not in arguments:
        return
    value = arguments["initial_state"]
    states = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(states) != len(units):
        raise SpecError(f"{kind} has {len(units)} state(s), got an initial_state of {len(states)}.")
    for state, size in zip(states, units, strict=True):
        shape = getattr(state, "shape", None)
        if shape is not None and (len(shape) != 2 or shape[1] != size):
            raise SpecError(f"{kind} expects an initial_state of shape (batch, {size}), got {shape}.")


LAYERS = (SimpleRNN, LSTM, GRU, Bidirectional)
