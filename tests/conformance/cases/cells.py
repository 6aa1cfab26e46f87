"""Cases of the cells: called by themselves on one step, and, for the arguments that need a loop, inside an RNN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import Input, Model, layers
from harness.spec.model import ModelSpec
from tests.conformance.engine import Case, Fed


@dataclass(frozen=True)
class Inside(Case):
    """The cell inside an RNN that returns every step."""

    def spec(self) -> ModelSpec:
        inputs = Input(self.inputs[0], name="input_0")
        return Model(inputs, layers.RNN(self.layer(layers), return_sequences=True)(inputs), name="case")


ONE = {"inputs": ((3,), (4,)), "arguments": {"states": [Fed(1)]}}
BARE = {"inputs": ((3,), (4,)), "arguments": {"states": Fed(1)}}
TWO = {"inputs": ((3,), (4,), (4,)), "arguments": {"states": [Fed(1), Fed(2)]}}


def _step(name: str, kind: str, *, feed: dict[str, Any] | None = None, units: int = 4, **config: Any) -> Case:
    feed = feed or (TWO if kind == "LSTMCell" else ONE)
    return Case(f"{kind} {name}", lambda layers: getattr(layers, kind)(units, **config), **feed)


def _inside(name: str, kind: str, units: int = 4, **config: Any) -> Case:
    return Inside(f"{kind} {name}", lambda layers: getattr(layers, kind)(units, **config), ((5, 3),), certified=True)


def _shared(kind: str) -> list[Case]:
    return [
        _step("step", kind),
        _step("no bias", kind, use_bias=False),
        _step("relu", kind, activation="relu"),
        _step("linear", kind, activation=None),
        _step("regularized", kind, kernel_regularizer="l2", recurrent_regularizer="l1", bias_regularizer="l2"),
        _step("constrained", kind, kernel_constraint="max_norm", recurrent_constraint="unit_norm",
              bias_constraint="non_neg"),
        _step("frozen", kind, trainable=False),
        _inside("dropout", kind, dropout=0.4),
        _inside("recurrent dropout", kind, recurrent_dropout=0.3),
        _inside("one unit", kind, units=1),
    ]


def _gated(kind: str) -> list[Case]:
    return [
        _step("gates", kind, recurrent_activation="hard_sigmoid"),
        _step("implementation", kind, implementation=1),
        _inside("mask per gate", kind, implementation=1, dropout=0.4),
    ]


def _stack(layers: Any) -> Any:
    return layers.StackedRNNCells([layers.LSTMCell(4), layers.GRUCell(3, reset_after=False), layers.SimpleRNNCell(2)])


STATES = {"inputs": ((3,), (4,), (4,), (3,), (2,)), "arguments": {"states": [[Fed(1), Fed(2)], [Fed(3)], [Fed(4)]]}}

CASES = [
    *_shared("SimpleRNNCell"), *_shared("LSTMCell"), *_shared("GRUCell"), *_gated("LSTMCell"), *_gated("GRUCell"),
    _step("state by itself", "SimpleRNNCell", feed=BARE),
    _step("state by itself", "GRUCell", feed=BARE),
    _step("no forget bias", "LSTMCell", unit_forget_bias=False),
    _step("reset before", "GRUCell", reset_after=False),
    _step("reset before no bias", "GRUCell", reset_after=False, use_bias=False),
    _step("reset before, implementation", "GRUCell", reset_after=False, implementation=1),
    Case("stack step", _stack, **STATES),
    Case("stack of two", lambda layers: layers.StackedRNNCells([layers.LSTMCell(4), layers.LSTMCell(4)]),
         ((3,), (4,), (4,), (4,), (4,)), arguments={"states": [[Fed(1), Fed(2)], [Fed(3), Fed(4)]]}),
    Case("stack of bare states", lambda layers: layers.StackedRNNCells([layers.GRUCell(4), layers.SimpleRNNCell(4)]),
         ((3,), (4,), (4,)), arguments={"states": [Fed(1), Fed(2)]}),
    Case("stack of one", lambda layers: layers.StackedRNNCells([layers.GRUCell(4)]), ((3,), (4,)),
         arguments={"states": [Fed(1)]}),
    Case("stack frozen", lambda layers: layers.StackedRNNCells([layers.GRUCell(4)], trainable=False), ((3,), (4,)),
         arguments={"states": [Fed(1)]}),
    Inside("stack inside", _stack, ((5, 3),)),
    Inside("stack inside, frozen", lambda layers: layers.StackedRNNCells(
        [layers.LSTMCell(4), layers.SimpleRNNCell(3)], trainable=False), ((5, 3),)),
    Inside("stack inside, dropping", lambda layers: layers.StackedRNNCells(
        [layers.SimpleRNNCell(4, dropout=0.3), layers.LSTMCell(3, recurrent_dropout=0.3)]), ((5, 3),), certified=True),
]
