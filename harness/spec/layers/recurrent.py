"""Recurrent layers (keras/src/layers/rnn): RNN around a cell or a list of cells, SimpleRNN, LSTM, GRU.

Shape letters: B batch, T steps, I input features, H units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from harness.errors import SpecError
from harness.spec.configured import Family
from harness.spec.layers.base import Layer, MaskRule, Shape, Weight, known, require_rank
from harness.spec.layers.cell_products import cell_products
from harness.spec.layers.cells import (
    CELLS,
    Gates,
    GRUGates,
    LSTMGates,
    Part,
    SigmoidGates,
    StackedRNNCells,
    Step,
    cell_weights,
    parse_nested,
)
from harness.spec.layers.recurrent_calls import call_arguments, check_arguments
from harness.spec.layers.states import check_states, flat, flat_shapes, nested_like, places, state_tensors
from harness.spec.products import Products


class Recurrent(Layer):
    """Base of the layers that read steps one after the other: (B, T, ...) to what the last step gives, or what
    every step does with return_sequences.

    return_state appends the last state(s). A call may give `initial_state`, one tensor per state, and `mask`, bool
    (B, T); with an initial state Keras ignores the mask that the sequences carry (layer.py, "Populate mask
    argument(s)"). zero_output_for_mask: the output of a masked step is 0, not that of the step before.
    go_backwards: the steps are read, and with return_sequences returned, from the last to the first.
    """

    mask_rule: ClassVar[MaskRule] = "own"
    keyword_only: ClassVar[frozenset[str]] = Layer.keyword_only | {
        "return_sequences", "return_state", "go_backwards", "unroll", "zero_output_for_mask",
    }

    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.pop("stateful", False):
            raise SpecError(
                "stateful=True is not supported: what a batch computes would depend on the batches before it, those "
                "of evaluation among them, so that no training could be shuffled, resumed or replayed step by step.",
                where=type(self).__name__, hint="Use return_state and initial_state.")
        super().__init__(*args, **kwargs)

    def after_step(self, step: Shape) -> tuple[Shape, Any]:
        """(the shape of a step's output, those of the states in the lists that Keras returns them in), batch first;
        step: the shape of one step. Raises SpecError where it does not fit."""
        raise NotImplementedError

    def step_weights(self, step: Shape) -> tuple[Weight, ...]:
        raise NotImplementedError

    def step_products(self, step: Shape, steps: int, states: Iterable[int]) -> Products:
        """The products of so many steps. states: the tensors that the first step's state comes from."""
        raise NotImplementedError

    def dropout_parts(self, step: Shape) -> tuple[Part, ...]:
        """The dropout masks of one call, for each cell those of its input and those of its state."""
        raise NotImplementedError

    def state_shapes(self, *shapes: Shape) -> list[Shape]:
        """The shapes of all states, batch first."""
        return flat_shapes(self.after_step(self._step(*shapes))[1])

    def _step(self, *shapes: Shape) -> Shape:
        """The shape of a step. Raises SpecError unless the layer is called on one sequence."""
        if len(shapes) != 1:
            raise SpecError(f"{type(self).__name__} takes one tensor of sequences, got {len(shapes)}.",
                            hint="Give the first state as initial_state=[...].")
        self.check_rank(shapes[0])
        return (shapes[0][0], *shapes[0][2:])

    def check_rank(self, shape: Shape) -> None:
        require_rank(self, shape, 3, "(batch, steps, features)")
        known(shape[-1], self, "the last dimension")

    def compute_output_shape(self, *shapes: Shape) -> Shape | tuple[Shape, ...]:
        output, states = self.after_step(self._step(*shapes))
        steps = shapes[0][1]
        if self.unroll:
            known(steps, self, "the number of steps (unroll=True)")
        if self.return_sequences:
            output = (output[0], steps, *output[1:])
        return (output, *flat_shapes(states)) if self.return_state else output

    def call_shape(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Shape | tuple[Shape, ...]:
        result = self.compute_output_shape(*shapes)
        if "initial_state" in arguments:
            check_states(self, "initial_state", arguments["initial_state"], self.state_shapes(*shapes))
        return result

    def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
        return self.step_weights(self._step(*shapes))

    def products(self, shapes: tuple[Shape, ...], arguments: Mapping[str, Any]) -> Products:
        steps = shapes[0][1]
        return None if steps is None else self.step_products(self._step(*shapes), steps, state_tensors(arguments))

    @property
    def ends_masks(self) -> bool:
        return not self.return_sequences

    def check_masks(
        self, shapes: tuple[Shape, ...], masks: tuple[Shape | None, ...], arguments: Mapping[str, Any]
    ) -> None:
        if masks[0] is not None and len(masks[0]) != 2:
            raise SpecError(f"{type(self).__name__} takes a mask (batch, steps), and the one that reaches it has the "
                            f"shape {masks[0]}.", hint="Mask the steps that this layer reads, and no others.")

    def check_call(self, arguments: Mapping[str, Any]) -> None:
        """Raises SpecError for an argument of the call that the layer does not have."""
        check_arguments(self, arguments, self.return_sequences)

    def __call__(self, *inputs: Any, **arguments: Any) -> Any:
        given = call_arguments(inputs, arguments)
        self.check_call(given)
        shape = getattr(inputs[0], "shape", None) if inputs else None
        try:
            pattern = [] if shape is None else self.after_step(self._step(shape))[1]
        except SpecError as error:
            raise error.at(f"layer {self.name!r}" if self.name else type(self).__name__) from None
        if "initial_state" in given and len(flat(given["initial_state"])) == len(flat_shapes(pattern)):
            given["initial_state"] = nested_like(places(pattern), flat(given["initial_state"]))
        result = super().__call__(*inputs[:1], **given)
        if not self.return_state:
            return result
        return (result[0], *nested_like(places(pattern), result[1:]))


class CellReader(Recurrent):
    """Base of the recurrent layers over features: cells one after the other read (B, T, I) to (B, H) or (B, T, H)."""

    @property
    def stack(self) -> tuple[Gates, ...]:
        """The cells that a step goes through."""
        raise NotImplementedError

    @property
    def numbered(self) -> bool:
        """Whether Keras nests the states by cell, and the roles of the weights begin with the cell's place."""
        return False

    @property
    def stochastic(self) -> bool:
        return any(cell.draws for cell in self.stack)

    def after_step(self, step: Shape) -> tuple[Shape, Any]:
        states: list[Any] = []
        for cell in self.stack:
            own: list[Shape] = [(step[0], cell.units)] * cell.states
            states += [own if cell.states > 1 else own[0]] if self.numbered else own
        return (step[0], self.stack[-1].units), states

    def step_weights(self, step: Shape) -> tuple[Weight, ...]:
        return cell_weights(self.stack, known(step[-1], self, "the last dimension"), self.numbered)

    def step_products(self, step: Shape, steps: int, states: Iterable[int]) -> Products:
        features = known(step[-1], self, "the last dimension")
        return cell_products(self.stack, features, self.numbered, states, steps)

    def dropout_parts(self, step: Shape) -> tuple[Part, ...]:
        features = known(step[-1], self, "the last dimension")
        parts: list[Part] = []
        for cell in self.stack:
            parts += cell.mask_parts(features)
            features = cell.units
        return tuple(parts)


def _parse_cell(value: Any) -> Layer:
    if isinstance(value, (list, tuple)):
        return StackedRNNCells(cells=tuple(value))
    return parse_nested(ANY_CELL, value)


ANY_CELL: Family[Layer] = Family("cell of a recurrent layer", (*CELLS.classes.values(), StackedRNNCells))


class RNN(CellReader):
    """A cell, or a list of cells one after the other, read over the steps."""

    cell: Annotated[Step, BeforeValidator(_parse_cell)]

    def step_weights(self, step: Shape) -> tuple[Weight, ...]:
        # A cell is frozen with what is around it.
        return tuple(replace(weight, trainable=weight.trainable and self.cell.trainable)
                     for weight in super().step_weights(step))

    @property
    def stack(self) -> tuple[Gates, ...]:
        return self.cell.stack

    @property
    def numbered(self) -> bool:
        return self.cell.numbered

    def check_masks(
        self, shapes: tuple[Shape, ...], masks: tuple[Shape | None, ...], arguments: Mapping[str, Any]
    ) -> None:
        super().check_masks(shapes, masks, arguments)
        masked = masks[0] is not None or "mask" in arguments
        if masked and self.numbered and len(self.stack) == 1 and not self.unroll and "initial_state" not in arguments:
            raise SpecError("under a mask Keras loses the list of states of a stack of one cell.",
                            hint="Write RNN(cell), without StackedRNNCells or a list around it, which means the same.")


class Single(CellReader):
    """Base of the layers that are their own cell."""

    @property
    def stack(self) -> tuple[Gates, ...]:
        assert isinstance(self, Gates)
        return (self,)


class SimpleRNN(Gates, Single):
    """h = activation(x @ kernel + bias + h @ recurrent_kernel)."""

    keyword_only: ClassVar[frozenset[str]] = Gates.keyword_only | Recurrent.keyword_only

    # keras/src/layers/rnn/simple_rnn.py takes activity_regularizer and does not hand it on.
    regularizes_outputs: ClassVar[bool] = False


class Gated(SigmoidGates, Single):
    """Base of LSTM and GRU. use_cudnn: which kernel Keras may take on a GPU; it changes no result."""

    use_cudnn: bool | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _refuse_list_of_masks(self) -> Gated:
        if self.implementation == 1 and self.dropout > 0 and self.recurrent_dropout == 0 and self.use_cudnn:
            raise SpecError("implementation=1 with dropout, without recurrent_dropout, fails in Keras itself.",
                            hint="Leave implementation out, or give use_cudnn=False.")
        return self


class LSTM(LSTMGates, Gated):
    """Long short-term memory: LSTMCell over the steps."""

    keyword_only: ClassVar[frozenset[str]] = LSTMGates.keyword_only | Recurrent.keyword_only | {"use_cudnn"}


class GRU(GRUGates, Gated):
    """Gated recurrent unit: GRUCell over the steps."""

    keyword_only: ClassVar[frozenset[str]] = GRUGates.keyword_only | Recurrent.keyword_only | {"use_cudnn"}


LAYERS = (RNN, SimpleRNN, LSTM, GRU)
