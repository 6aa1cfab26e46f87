"""Recurrent layers."""

from __future__ import annotations

from typing import Any

from tests.conformance.engine import Case, Fed

SEQUENCE = ((5, 3),)
MASKED = {"inputs": SEQUENCE, "masked": (True,)}
ONE_STATE = {"inputs": ((5, 3), (4,)), "arguments": {"initial_state": Fed(1)}}
TWO_STATES = {"inputs": ((5, 3), (4,), (4,)), "arguments": {"initial_state": [Fed(1), Fed(2)]}}


def _case(name: str, kind: str, *, feed: dict[str, Any] | None = None, certified: bool = False, units: int = 4,
          **config: Any) -> Case:
    return Case(name, lambda layers: getattr(layers, kind)(units, **config), **(feed or {"inputs": SEQUENCE}),
                certified=certified)


def _shared(kind: str, states: dict[str, Any]) -> list[Case]:
    """What SimpleRNN, LSTM and GRU have in common."""
    name = kind.lower()
    regularized = {"kernel_regularizer": "l2", "recurrent_regularizer": {"L1": {"l1": 0.02}}, "bias_regularizer": "l1"}
    return [
        _case(f"{name}", kind),
        _case(f"{name}_one_unit", kind, units=1, return_sequences=True),
        _case(f"{name}_sequences", kind, return_sequences=True),
        _case(f"{name}_states", kind, return_state=True),
        _case(f"{name}_initial_state", kind, feed=states, return_sequences=True, return_state=True),
        _case(f"{name}_initial_state_ignores_mask", kind, feed={**states, "masked": (True,)}, return_sequences=True),
        _case(f"{name}_no_bias", kind, use_bias=False, return_sequences=True),
        _case(f"{name}_unknown_length", kind, feed={"inputs": ((None, 3),)}, return_sequences=True),
        _case(f"{name}_regularized", kind, **regularized),
        _case(f"{name}_backwards", kind, go_backwards=True, return_sequences=True, return_state=True),
        _case(f"{name}_unrolled", kind, unroll=True, return_sequences=True),
        _case(f"{name}_relu", kind, activation="relu", return_sequences=True, return_state=True),
        _case(f"{name}_linear", kind, activation=None),
        _case(f"{name}_masked", kind, feed=MASKED),
        _case(f"{name}_masked_relu", kind, feed=MASKED, activation="relu", return_sequences=True),
        _case(f"{name}_masked_sequences", kind, feed=MASKED, return_sequences=True),
        _case(f"{name}_masked_states", kind, feed=MASKED, return_sequences=True, return_state=True),
        _case(f"{name}_masked_backwards", kind, feed=MASKED, return_sequences=True, go_backwards=True),
        _case(f"{name}_masked_unrolled", kind, feed=MASKED, return_sequences=True, unroll=True),
        _case(f"{name}_masked_zero", kind, feed=MASKED, return_sequences=True, zero_output_for_mask=True),
        _case(f"{name}_masked_zero_last", kind, feed=MASKED, zero_output_for_mask=True),
        _case(f"{name}_masked_zero_unrolled", kind, feed=MASKED, return_sequences=True, zero_output_for_mask=True,
              unroll=True, go_backwards=True),
        _case(f"{name}_masked_zero_unrolled_last", kind, feed=MASKED, zero_output_for_mask=True, unroll=True,
              go_backwards=True),
        _case(f"{name}_empty_example", kind, feed={**MASKED, "kinds": ("padded",)}),
        _case(f"{name}_dropout", kind, certified=True, dropout=0.4, return_sequences=True),
        _case(f"{name}_dropout_masked", kind, feed=MASKED, certified=True, dropout=0.4, return_sequences=True),
        _case(f"{name}_recurrent_dropout", kind, certified=True, recurrent_dropout=0.3, return_sequences=True),
        _case(f"{name}_both_dropouts", kind, certified=True, dropout=0.3, recurrent_dropout=0.4),
        _case(f"{name}_both_dropouts_masked", kind, feed=MASKED, certified=True, dropout=0.3, recurrent_dropout=0.4,
              return_sequences=True, return_state=True, go_backwards=True),
        _case(f"{name}_both_dropouts_no_bias", kind, certified=True, dropout=0.5, recurrent_dropout=0.5,
              use_bias=False),
    ]


GATES = {"recurrent_activation": "hard_sigmoid", "return_sequences": True}

GATED = [
    case for kind in ("LSTM", "GRU") for case in (
        _case(f"{kind.lower()}_gates", kind, **GATES),
        _case(f"{kind.lower()}_gates_masked", kind, feed=MASKED, **GATES),
        _case(f"{kind.lower()}_no_cudnn", kind, use_cudnn=False),
        _case(f"{kind.lower()}_implementation", kind, implementation=1, return_sequences=True),
    )
]

BEFORE = [
    _case("gru_reset_before", "GRU", reset_after=False, return_sequences=True),
    _case("gru_reset_before_masked", "GRU", feed=MASKED, reset_after=False, return_sequences=True, return_state=True),
    _case("gru_reset_before_no_bias", "GRU", reset_after=False, use_bias=False),
    _case("gru_reset_before_dropouts", "GRU", certified=True, reset_after=False, dropout=0.3, recurrent_dropout=0.3),
]


ROUNDED = {"kernel_constraint": "max_norm", "recurrent_constraint": "unit_norm", "bias_constraint": "non_neg"}
CONSTRAINED = [_case(f"{kind.lower()}_constrained", kind, **ROUNDED) for kind in ("SimpleRNN", "LSTM", "GRU")]

GIVEN_MASK = {"inputs": ((5, 3), (5,)), "kinds": ("normal", "mask"), "arguments": {"mask": Fed(1)}}
MASK_AND_STATES = {"inputs": ((5, 3), (5,), (4,), (4,)), "kinds": ("normal", "mask"),
                   "arguments": {"mask": Fed(1), "initial_state": [Fed(2), Fed(3)]}}

CALLS = [
    _case("lstm_given_mask", "LSTM", feed=GIVEN_MASK),
    _case("lstm_given_mask_and_states", "LSTM", feed=MASK_AND_STATES, return_state=True),
    _case("gru_given_mask", "GRU", feed=GIVEN_MASK, return_state=True),
    _case("lstm_mask_per_gate", "LSTM", certified=True, dropout=0.4, implementation=1, use_cudnn=False),
    _case("gru_mask_per_gate", "GRU", certified=True, dropout=0.4, implementation=1, use_cudnn=False,
          return_sequences=True),
]


def _rnn(name: str, *cells: Any, feed: dict[str, Any] | None = None, certified: bool = False, trainable: bool = True,
         **config: Any) -> Case:
    """RNN around the cells, each (kind, units, arguments); around a list of them if there are several."""

    def make(layers: Any) -> Any:
        made = [getattr(layers, kind)(units, **more) for kind, units, more in cells]
        return layers.RNN(made if len(made) > 1 else made[0], trainable=trainable, **config)

    return Case(f"rnn {name}", make, **(feed or {"inputs": SEQUENCE}), certified=certified)


SIMPLE, MEMORY, UPDATE = ("SimpleRNNCell", 4, {}), ("LSTMCell", 4, {}), ("GRUCell", 3, {})
STACK = (MEMORY, UPDATE, ("SimpleRNNCell", 2, {}))
DROPPING = (("LSTMCell", 4, {"dropout": 0.3}), ("GRUCell", 3, {"dropout": 0.2, "recurrent_dropout": 0.4}),
            ("SimpleRNNCell", 2, {"recurrent_dropout": 0.3}))
STACK_STATES = {"inputs": ((5, 3), (4,), (4,), (3,), (2,)),
                "arguments": {"initial_state": [[Fed(1), Fed(2)], Fed(3), Fed(4)]}}

RNN = [
    _rnn("simple", SIMPLE),
    _rnn("lstm", MEMORY, return_sequences=True, return_state=True),
    _rnn("gru backwards", UPDATE, return_sequences=True, go_backwards=True),
    _rnn("gru initial state", ("GRUCell", 4, {}), feed=ONE_STATE, return_state=True),
    _rnn("lstm initial state", MEMORY, feed=TWO_STATES, return_sequences=True),
    _rnn("lstm masked", MEMORY, feed=MASKED, return_sequences=True),
    _rnn("lstm masked zero", MEMORY, feed=MASKED, return_sequences=True, zero_output_for_mask=True),
    _rnn("lstm unrolled", MEMORY, unroll=True, return_sequences=True),
    _rnn("cell frozen", ("LSTMCell", 4, {"trainable": False})),
    _rnn("frozen", MEMORY, trainable=False),
    _rnn("cell regularized", ("GRUCell", 4, {"kernel_regularizer": "l2", "bias_regularizer": "l1"})),
    _rnn("cell dropout", ("LSTMCell", 4, {"dropout": 0.4}), certified=True, return_sequences=True),
    _rnn("cell mask per gate", ("LSTMCell", 4, {"dropout": 0.4, "implementation": 1}), certified=True),
    _rnn("cell both dropouts", ("GRUCell", 4, {"dropout": 0.3, "recurrent_dropout": 0.4}), certified=True, feed=MASKED,
         return_sequences=True, return_state=True),
    _rnn("stack", *STACK),
    _rnn("stack sequences and states", *STACK, return_sequences=True, return_state=True),
    _rnn("stack backwards", *STACK, return_sequences=True, go_backwards=True),
    _rnn("stack masked", *STACK, feed=MASKED, return_sequences=True, return_state=True),
    _rnn("stack masked zero", *STACK, feed=MASKED, return_sequences=True, zero_output_for_mask=True),
    _rnn("stack unrolled masked", *STACK, feed=MASKED, return_sequences=True, unroll=True),
    _rnn("stack initial state", *STACK, feed=STACK_STATES, return_sequences=True, return_state=True),
    _rnn("stack of any length", *STACK, feed={"inputs": ((None, 3),)}, return_sequences=True),
    _rnn("stack partly frozen", ("LSTMCell", 4, {"trainable": False}), UPDATE),
    _rnn("stack dropout", *DROPPING, certified=True, return_sequences=True),
    _rnn("stack dropout masked backwards", *DROPPING, certified=True, feed=MASKED, return_sequences=True,
         return_state=True, go_backwards=True),
    Case("rnn stack of one", lambda layers: layers.RNN(layers.StackedRNNCells([layers.LSTMCell(4)])), SEQUENCE),
]


CASES = [
    *_shared("SimpleRNN", ONE_STATE), *_shared("LSTM", TWO_STATES), *_shared("GRU", ONE_STATE), *GATED, *BEFORE,
    Case("lstm_no_forget_bias", lambda layers: layers.LSTM(4, unit_forget_bias=False), SEQUENCE),
    *CONSTRAINED, *CALLS, *RNN,
]
