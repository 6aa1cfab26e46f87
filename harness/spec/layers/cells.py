"""The cells of recurrent layers (keras/src/layers/rnn): what one step computes, and the weights it takes.

A cell works inside an RNN, or is called by itself on one step: `output, states = LSTMCell(8)(x, [h, c])`.

Shape letters: B batch, I input features, H units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from harness.errors import SpecError, did_you_mean
from harness.spec.activations import ActivationArgument
from harness.spec.configured import Family
from harness.spec.constraints import ConstraintArgument
from harness.spec.initializers import ForgetGateBias, Initializer, InitializerArgument, initializer_argument
from harness.spec.layers.base import Layer, Shape, Weight, known, require_rank
from harness.spec.layers.cell_products import cell_products
from harness.spec.layers.states import check_states, nested_like
from harness.spec.products import Products
from harness.spec.regularizers import RegularizerArgument

# Keras treats a rate of 1 differently in each of its code paths.
Rate = Annotated[float, Field(ge=0, lt=1)]

# Dropout masks that a call draws: how many, of which shape (without the batch), at which rate.
Part = tuple[int, tuple[int, ...], float]


class Gates(Layer):
    """The arguments of one step's computation, of a cell (LSTMCell) as of the layer around it (LSTM).

    gates: how many blocks of H columns the kernels hold. states: how many tensors (B, H) go from step to step.
    """

    # Keras's signatures hold activity_regularizer and others between these, each in another place.
    keyword_only: ClassVar[frozenset[str]] = Layer.keyword_only | {
        "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer", "kernel_regularizer",
        "recurrent_regularizer", "bias_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint",
        "dropout", "recurrent_dropout", "seed",
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
    kernel_constraint: ConstraintArgument = None
    recurrent_constraint: ConstraintArgument = None
    bias_constraint: ConstraintArgument = None
    dropout: Rate = 0.0
    recurrent_dropout: Rate = 0.0
    seed: int | None = None

    @property
    def draws(self) -> bool:
        """Whether a training call draws dropout masks."""
        return self.dropout > 0 or self.recurrent_dropout > 0

    @property
    def masks_per_gate(self) -> bool:
        """Whether each gate has dropout masks of its own (dropout_rnn_cell.py: dropout_mask_count)."""
        return self.recurrent_dropout > 0

    def mask_parts(self, features: int) -> tuple[Part, Part]:
        """The masks of one call, each fixed over the steps: for the input (B, I), for the state (B, H)."""
        count = self.gates if self.masks_per_gate else 1
        return (
            (count if self.dropout > 0 else 0, (features,), self.dropout),
            (count if self.recurrent_dropout > 0 else 0, (self.units,), self.recurrent_dropout),
        )

    def gate_weights(self, features: int) -> tuple[Weight, ...]:
        """kernel (I, gates * H), recurrent_kernel (H, gates * H) and bias."""
        width = self.gates * self.units
        weights = (
            Weight("kernel", (features, width), self.kernel_initializer, regularizer=self.kernel_regularizer,
                   constraint=self.kernel_constraint),
            Weight("recurrent_kernel", (self.units, width), self.recurrent_initializer,
                   regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint),
        )
        if not self.use_bias:
            return weights
        return (*weights, Weight("bias", self.bias_shape, self.bias_values, regularizer=self.bias_regularizer,
                                 constraint=self.bias_constraint))

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    @property
    def bias_values(self) -> Initializer:
        return self.bias_initializer


class SigmoidGates(Gates):
    """The arguments of LSTM and GRU.

    implementation: 1 keeps the gates' matrix products apart in Keras, with the same result but for dropout, which
    then has a mask per gate.
    """

    keyword_only: ClassVar[frozenset[str]] = Gates.keyword_only | {"implementation"}

    recurrent_activation: ActivationArgument = "sigmoid"
    implementation: Literal[1, 2] = 2

    @property
    def masks_per_gate(self) -> bool:
        return self.implementation == 1 or self.recurrent_dropout > 0


class LSTMGates(SigmoidGates):
    """Gates i, f, c, o side by side in kernel (I, 4H): c = f * c + i * activation(.), h = o * activation(c);
    states h, c. unit_forget_bias: the bias of the forget gate starts at 1."""

    keyword_only: ClassVar[frozenset[str]] = SigmoidGates.keyword_only | {"unit_forget_bias"}
    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    unit_forget_bias: bool = True

    @property
    def bias_values(self) -> Initializer:
        if not self.unit_forget_bias:
            return self.bias_initializer
        return ForgetGateBias(units=self.units, others=self.bias_initializer)


class GRUGates(SigmoidGates):
    """Gates z, r, h side by side in kernel (I, 3H): h = z * h + (1 - z) * activation(.).

    reset_after: the reset gate multiplies h @ recurrent_kernel (and the bias has a second row for it), else it
    multiplies h before.
    """

    keyword_only: ClassVar[frozenset[str]] = SigmoidGates.keyword_only | {"reset_after"}
    gates: ClassVar[int] = 3

    reset_after: bool = True

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)


class Step(Layer):
    """Base of the cells: one step, (B, I) and the states before it to (B, H) and the states after it."""

    # Whether the roles of the weights begin with the place of the cell.
    numbered: ClassVar[bool] = False

    @property
    def stack(self) -> tuple[Gates, ...]:
        """The cells that a step goes through, one after the other."""
        raise NotImplementedError

    @field_validator("activity_regularizer", check_fields=False)
    @classmethod
    def _refuse_activity_regularizer(cls, value: Any) -> Any:
        if value is not None:
            raise SpecError("the activity_regularizer of a cell fails in Keras itself, inside its loop over the steps.",
                            hint="Give it to the layer around the cell.")
        return value

    def compute_output_shape(self, *shapes: Shape) -> tuple[Shape, ...]:
        if len(shapes) != 1:
            raise SpecError(f"{type(self).__name__} takes one tensor and the states, got {len(shapes)} tensors.")
        require_rank(self, shapes[0], 2, "(batch, features)")
        batch = shapes[0][0]
        return ((batch, self.stack[-1].units),
                *((batch, cell.units) for cell in self.stack for _ in range(cell.states)))

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return cell_weights(self.stack, known(shapes[0][-1], self, "the last dimension"), self.numbered)

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        features, states = shapes[0][-1], range(1, 1 + sum(cell.states for cell in self.stack))
        return None if features is None else cell_products(self.stack, features, self.numbered, states, 1)

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError unless the states are given, and nothing else."""
        if any(cell.draws for cell in self.stack):
            raise SpecError(f"a {type(self).__name__} with dropout that is called by itself is not supported: Keras "
                            "keeps the masks of its first call for ever.", hint="Put the cell into an RNN.")
        for argument in arguments:
            if argument != "states":
                raise SpecError(f"a call of {type(self).__name__} has no argument {argument!r}.",
                                hint=did_you_mean(argument, ["states"]))
        if "states" not in arguments:
            raise SpecError(f"a call of {type(self).__name__} needs the states.", hint="Write cell(x, states).")
        check_states(self, "states", arguments["states"],
                     [(None, cell.units) for cell in self.stack for _ in range(cell.states)])

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        """(output, states); the states are nested as they were given."""
        if len(inputs) == 2:
            arguments = {"states": inputs[1], **arguments}
        self.check_call(arguments)
        output, *after = super().__call__(inputs[0], **arguments)
        return output, nested_like(arguments["states"], after)


class SimpleRNNCell(Step, Gates):
    """h = activation(x @ kernel + bias + h @ recurrent_kernel)."""

    @property
    def stack(self) -> tuple[Gates, ...]:
        return (self,)


class LSTMCell(Step, LSTMGates):
    """One step of an LSTM."""

    @property
    def stack(self) -> tuple[Gates, ...]:
        return (self,)


class GRUCell(Step, GRUGates):
    """One step of a GRU."""

    @property
    def stack(self) -> tuple[Gates, ...]:
        return (self,)


CELLS: Family[Layer] = Family("cell of a recurrent layer", (SimpleRNNCell, LSTMCell, GRUCell))


def parse_nested(family: Family[Layer], value: Any) -> Layer:
    """A layer among a layer's arguments. Of what Keras serializes, the dtype is that of the layer around it."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        config = dict(value["config"])
        policy = config.pop("dtype", None)
        name = policy.get("config", {}).get("name") if isinstance(policy, Mapping) else policy
        if name not in (None, "float32", "float64"):
            raise SpecError(f"the dtype {name!r} of a layer inside another is not supported.",
                            where=str(config.get("name")))
        if config.get("quantization_config") is None:
            config.pop("quantization_config", None)
        value = {**value, "config": config}
    return family.parse(value)


def _parse_cells(value: Any) -> tuple[Layer, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise SpecError(f"expected a list of cells, got {value!r}.")
    cells = tuple(parse_nested(CELLS, cell) for cell in value)
    if len({id(cell) for cell in cells}) < len(cells):
        raise SpecError("the same cell stands twice in the list: cells that share weights are not supported.")
    return cells


class StackedRNNCells(Step):
    """Cells one after the other, each on the output of the one before. Its states are a list with the states of
    each cell."""

    numbered: ClassVar[bool] = True

    cells: Annotated[tuple[Gates, ...], BeforeValidator(_parse_cells)]

    @property
    def stack(self) -> tuple[Gates, ...]:
        return self.cells


def cell_weights(cells: Sequence[Gates], features: int, numbered: bool) -> tuple[Weight, ...]:
    """The weights of cells one after the other; numbered: the roles begin with the cell's place, "1/kernel"."""
    weights: list[Weight] = []
    for place, cell in enumerate(cells):
        prefix = f"{place}/" if numbered else ""
        weights += [replace(weight, role=prefix + weight.role, trainable=weight.trainable and cell.trainable)
                    for weight in cell.gate_weights(features)]
        features = cell.units
    return tuple(weights)


LAYERS = (SimpleRNNCell, LSTMCell, GRUCell, StackedRNNCells)
