"""Cases of Bidirectional."""

from __future__ import annotations

from typing import Any

from tests.conformance.cases.recurrent import DROPPING, GIVEN_MASK, MASKED, SEQUENCE, STACK
from tests.conformance.engine import Case, Fed


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


def _pair(name: str, first: Any, second: Any = None, *, feed: dict[str, Any] | None = None, certified: bool = False,
          **config: Any) -> Case:
    """first, second: functions of the namespace that make the layers."""

    def make(layers: Any) -> Any:
        back = {} if second is None else {"backward_layer": second(layers)}
        return layers.Bidirectional(first(layers), **back, **config)

    return Case(f"bidirectional {name}", make, **(feed or {"inputs": SEQUENCE}), certified=certified)


def _cells(layers: Any, chosen: Any) -> list[Any]:
    return [getattr(layers, kind)(units, **more) for kind, units, more in chosen]


OTHERS = [
    _pair("two kinds", lambda ns: ns.LSTM(4), lambda ns: ns.GRU(4, go_backwards=True)),
    _pair("two kinds masked", lambda ns: ns.LSTM(4, return_sequences=True),
          lambda ns: ns.GRU(4, return_sequences=True, go_backwards=True, reset_after=False), feed=MASKED,
          merge_mode="sum"),
    _pair("other activation", lambda ns: ns.LSTM(4, return_state=True),
          lambda ns: ns.LSTM(4, return_state=True, go_backwards=True, activation="relu"), merge_mode="mul"),
    _pair("first backwards", lambda ns: ns.GRU(4, return_sequences=True, go_backwards=True),
          lambda ns: ns.GRU(4, return_sequences=True), merge_mode="ave"),
    _pair("first backwards masked", lambda ns: ns.LSTM(4, return_sequences=True, go_backwards=True),
          lambda ns: ns.LSTM(4, return_sequences=True), feed=MASKED),
    _pair("second frozen", lambda ns: ns.LSTM(4), lambda ns: ns.LSTM(4, go_backwards=True, trainable=False)),
    _pair("inside frozen", lambda ns: ns.GRU(4, trainable=False)),
    _pair("one drops", lambda ns: ns.LSTM(4), lambda ns: ns.LSTM(4, go_backwards=True, dropout=0.4), certified=True),
    _pair("both drop", lambda ns: ns.LSTM(4, dropout=0.3),
          lambda ns: ns.GRU(4, go_backwards=True, recurrent_dropout=0.4), certified=True, merge_mode="sum"),
    _pair("implementation", lambda ns: ns.LSTM(4, implementation=1, use_cudnn=False, dropout=0.4), certified=True),
    _pair("given mask", lambda ns: ns.LSTM(4), feed=GIVEN_MASK),
    _pair("rnn of a cell", lambda ns: ns.RNN(ns.LSTMCell(4), return_sequences=True, return_state=True)),
    _pair("rnn of a cell masked", lambda ns: ns.RNN(ns.GRUCell(4), return_sequences=True), feed=MASKED),
    _pair("rnn of a stack", lambda ns: ns.RNN(_cells(ns, STACK), return_sequences=True)),
    _pair("rnn of a stack masked", lambda ns: ns.RNN(_cells(ns, STACK), return_sequences=True), feed=MASKED,
          merge_mode="mul"),
    _pair("rnn of a stack states", lambda ns: ns.RNN(_cells(ns, STACK), return_state=True), merge_mode=None),
    _pair("rnn of a dropping stack", lambda ns: ns.RNN(_cells(ns, DROPPING), return_sequences=True), feed=MASKED,
          certified=True),
    _pair("conv lstm 1d", lambda ns: ns.ConvLSTM1D(3, 3, padding="same", return_sequences=True),
          feed={"inputs": ((4, 6, 2),)}),
    _pair("conv lstm 2d", lambda ns: ns.ConvLSTM2D(3, 2, return_state=True), feed={"inputs": ((4, 5, 6, 2),)},
          merge_mode="sum"),
    _pair("conv lstm 2d dropout", lambda ns: ns.ConvLSTM2D(2, 2, dropout=0.3, recurrent_dropout=0.2),
          feed={"inputs": ((4, 5, 6, 2),)}, certified=True),
]

CASES = [*BIDIRECTIONAL, *OTHERS]
