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


def _both_ways(name: str, kind: str, *, feed: dict[str, Any] | None = None, certified: bool = False,
               merge_mode: str | None = "concat", trainable: bool = True, **config: Any) -> Case:
    return Case(
        f"bidirectional_{name}",
        lambda layers: layers.Bidirectional(getattr(layers, kind)(4, **config), merge_mode=merge_mode,
                                            trainable=trainable),
        **(feed or {"inputs": SEQUENCE}), certified=certified,
    )


FOUR_STATES = {"inputs": ((5, 3), (4,), (4,), (4,), (4,)),
               "arguments": {"initial_state": [Fed(index) for index in range(1, 5)]}}

BIDIRECTIONAL = [
    _both_ways("lstm", "LSTM"),
    _both_ways("lstm_sequences", "LSTM", return_sequences=True),
    _both_ways("lstm_states", "LSTM", return_state=True),
    _both_ways("lstm_initial_state", "LSTM", feed=FOUR_STATES, return_sequences=True, return_state=True),
    _both_ways("lstm_masked", "LSTM", feed=MASKED, return_sequences=True),
    _both_ways("lstm_masked_last", "LSTM", feed=MASKED),
    _both_ways("lstm_masked_unrolled", "LSTM", feed=MASKED, return_sequences=True, unroll=True),
    _both_ways("lstm_frozen", "LSTM", trainable=False),
    _both_ways("gru_sum", "GRU", merge_mode="sum", return_sequences=True),
    _both_ways("gru_mul", "GRU", merge_mode="mul", return_sequences=True),
    _both_ways("gru_ave", "GRU", merge_mode="ave", return_sequences=True, return_state=True),
    _both_ways("gru_apart", "GRU", merge_mode=None, return_sequences=True),
    _both_ways("gru_apart_masked", "GRU", feed=MASKED, merge_mode=None, return_sequences=True),
    _both_ways("gru_apart_states", "GRU", merge_mode=None, return_state=True),
    _both_ways("rnn", "SimpleRNN", return_sequences=True),
    _both_ways("rnn_masked", "SimpleRNN", feed=MASKED, return_sequences=True),
    _both_ways("lstm_dropout", "LSTM", certified=True, dropout=0.4, return_sequences=True),
    _both_ways("gru_both_dropouts", "GRU", feed=MASKED, certified=True, dropout=0.4, recurrent_dropout=0.3,
               return_sequences=True),
]

CASES = [
    *_shared("SimpleRNN", ONE_STATE), *_shared("LSTM", TWO_STATES), *_shared("GRU", ONE_STATE), *GATED, *BEFORE,
    Case("lstm_no_forget_bias", lambda layers: layers.LSTM(4, unit_forget_bias=False), SEQUENCE),
    *BIDIRECTIONAL,
]
