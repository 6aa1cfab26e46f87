"""What a network does not keep: tensors after their last reader, and torch's own first values."""

from __future__ import annotations

import pytest

from tests.forked import run_source

PROGRAM = """
import gc, weakref
import torch
from harness import Input, Model, layers
from harness.backends.pytorch.model import _last_reads, build_network
from harness.plan.initial import initial_weights
from harness.spec.order import execution_order

x = Input((6,), name="x")
a = layers.Dense(4, name="a")(x)
b = layers.ReLU(name="b")(a)
c = layers.Subtract(name="c")([a, b])
d = layers.Dense(2, name="d")(c)
spec = Model(x, [d, b], name="m")
order = execution_order(spec)
read = dict(zip([node.name for node in order], _last_reads(order, spec.outputs)))
assert read == {"a": ("x",), "b": (), "c": ("a",), "d": ("c",)}, read  # b is an output

alive = {}
network = build_network(spec, initial_weights(spec, 0), "float32").eval()
for name in "abc":
    network.layer(name).register_forward_hook(lambda module, fed, y, name=name: alive.update({name: weakref.ref(y)}))
seen = {}
network.layer("d").register_forward_pre_hook(
    lambda module, fed: seen.update({name: reference() is not None for name, reference in alive.items()}))
with torch.no_grad():
    outputs = network(torch.zeros(3, 6))
assert seen == {"a": False, "b": True, "c": True}, seen
assert [tuple(y.shape) for y in outputs] == [(3, 2), (3, 4)]

torch.manual_seed(0)
before = torch.get_rng_state()
build_network(spec, initial_weights(spec, 0), "float32")
assert torch.equal(before, torch.get_rng_state())  # nothing was drawn
"""


@pytest.mark.frameworks
def test_tensors_are_let_go_and_nothing_is_drawn() -> None:
    run_source("pytorch", PROGRAM)
