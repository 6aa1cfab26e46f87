"""Which tensor of a port holds which Keras weight, from plain descriptions of modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.certify.ports.mapping import PortMapping, propose
from harness.certify.ports.names import Names
from harness.certify.ports.parts import parts_of
from harness.certify.ports.plan import plan_checks
from harness.certify.ports.rules import TorchUnit
from harness.certify.ports.transforms import Transform
from harness.errors import SpecError
from harness.spec.model import ModelSpec


def unit(path: str, kind: str, tensors: dict[str, tuple[int, ...]], **more: Any) -> TorchUnit:
    buffers = ("running_mean", "running_var")
    return TorchUnit(path, kind, tensors, {name: True for name in tensors if name not in buffers}, **more)


def linear(path: str, inputs: int, outputs: int, first_call: int | None = None) -> TorchUnit:
    return unit(path, "Linear", {"weight": (outputs, inputs), "bias": (outputs,)}, first_call=first_call)


def chain(*sizes: int) -> ModelSpec:
    x = start = Input((sizes[0],), name="x")
    for index, size in enumerate(sizes[1:]):
        x = layers.Dense(size, name=f"dense_{index}")(x)
    return Model(start, x, name="chain")


def places(mapping: PortMapping) -> dict[str, str]:
    return {entry.weight: " ".join(piece.text for piece in entry.pieces) for entry in mapping.entries}


@pytest.mark.parametrize(("text", "shape"), [
    ("same", (3, 4)), ("transpose", (3, 4)), ("permute 3 2 0 1", (3, 3, 2, 5)), ("flatten 2 3 4", (24, 5)),
    ("depthwise", (3, 3, 4, 2)), ("heads_in", (6, 2, 3)), ("heads_out", (2, 3, 6)), ("ravel", (2, 3)),
    ("gates 1 0 2", (4, 9)), ("gate_bias 1 0 2", (2, 9)), ("gate_bias 0 1 2 3", (8,)),
])
def test_every_transform_has_its_inverse(text: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    transform = Transform.parse(text, shape)
    pieces = transform.to_torch(array)
    assert [piece.shape for piece in pieces] == list(transform.torch_shapes)
    np.testing.assert_array_equal(transform.to_keras(pieces), array)


def test_flatten_is_a_dense_kernel_for_channels_first() -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 2, 3, 4)), rng.standard_normal((24, 5))
    (weight,) = Transform.parse("flatten 2 3 4", kernel.shape).to_torch(kernel)
    np.testing.assert_allclose(x.transpose(0, 3, 1, 2).reshape(2, -1) @ weight.T, x.reshape(2, -1) @ kernel, rtol=1e-13)


def test_transforms_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SpecError, match="does not fit a weight of shape"):
        Transform.parse("permute 3 2 0 1", (3, 4))
    with pytest.raises(SpecError, match="Did you mean 'transpose'"):
        Transform.parse("transposed", (3, 4))


def test_equal_layers_go_by_order_of_calls_where_that_is_the_order_of_declaration() -> None:
    (found,) = propose(chain(4, 4, 4), [linear("first", 4, 4, 0), linear("second", 4, 4, 1)])
    assert places(found)["dense_0/kernel"] == "first.weight"
    assert places(found)["dense_1/bias"] == "second.bias"
    assert found.ambiguities == ()


def test_two_orders_are_two_candidates_and_are_told() -> None:
    found = propose(chain(4, 4, 4), [linear("last", 4, 4, 1), linear("early", 4, 4, 0)])
    assert [places(item)["dense_0/kernel"] for item in found] == ["early.weight", "last.weight"]
    assert found[0].ambiguities[0].text == "dense_0, dense_1 may be (early, last) or (last, early)"


def test_names_settle_what_order_does_not() -> None:
    (found,) = propose(chain(4, 4, 4), [linear("dense_1", 4, 4, 1), linear("dense_0", 4, 4, 0)])
    assert places(found)["dense_0/kernel"] == "dense_0.weight"


def test_branches_side_by_side_are_tried_in_every_order() -> None:
    x = Input((3,), name="x")
    a, b = layers.Dense(2, name="a")(x), layers.Dense(2, name="b")(x)
    spec = Model(x, layers.Add()([a, b]), name="branches")
    assert len(propose(spec, [linear("l.0", 3, 2, 0), linear("l.1", 3, 2, 1)])) == 2


def test_a_map_is_followed_and_its_transform_is_the_kernels() -> None:
    names = Names.parse({"dense_0": {"torch": "b", "transform": "flatten 2 1 2"}, "dense_1/kernel": "a.weight",
                         "dense_1/bias": "a.bias"})
    spec = chain(4, 4, 4)
    (found,) = propose(spec, [linear("a", 4, 4, 0), linear("b", 4, 4, 1)], names)
    assert places(found) == {"dense_0/kernel": "b.weight", "dense_0/bias": "b.bias", "dense_1/kernel": "a.weight",
                             "dense_1/bias": "a.bias"}
    assert found.of_layer("dense_0")[0].transform.text == "flatten 2 1 2"
    assert found.of_layer("dense_1")[0].transform.text == "same"
    assert PortMapping.from_data(found.to_data(), spec).entries == found.entries


def test_everything_that_is_not_accounted_for_stands_in_one_error() -> None:
    units = [unit("fc", "Linear", {"weight": (3, 4)}, first_call=0), linear("other", 9, 9, 1)]
    with pytest.raises(SpecError) as caught:
        propose(chain(4, 3, 2), units)
    for text in ("dense_0/bias (3,)", "dense_1/kernel (3, 2)", "dense_1/bias (2,)", "other.weight (9, 9) of Linear"):
        assert text in str(caught.value)
    assert caught.value.exit_code == 4


def test_names_that_neither_side_has_are_told() -> None:
    with pytest.raises(SpecError, match=r"Did you mean 'dense_0'.*the port has no 'fd'"):
        propose(chain(4, 3), [linear("fc", 4, 3)], Names.parse({"dense0": "fc", "dense_0": "fd"}))


def test_one_bias_of_keras_leaves_the_second_of_torch_at_zero() -> None:
    x = Input((5, 3), name="x")
    spec = Model(x, layers.LSTM(2, name="lstm")(x), name="m")
    tensors = {"weight_ih_l0": (8, 3), "weight_hh_l0": (8, 2), "bias_ih_l0": (8,), "bias_hh_l0": (8,)}
    (found,) = propose(spec, [unit("rnn", "LSTM", tensors, first_call=0)])
    assert found.zeros == ("rnn.bias_hh_l0",)
    checks = plan_checks(spec, found, [unit("rnn", "LSTM", tensors)], {"training": [], "inference": []}, [], {}, None)
    (failed,) = [check for check in checks if check.fails]
    assert failed.cause is not None
    assert (failed.layer, failed.cause.key) == ("lstm", "doubled bias")


def test_a_stack_of_two_layers_is_one_part() -> None:
    x = Input((5, 3), name="x")
    y = layers.GRU(2, return_sequences=True, name="low")(x)
    spec = Model(x, layers.GRU(2, name="high")(y), name="m")
    sizes = {0: 3, 1: 2}
    units = [unit("rnn", "GRU", {f"weight_ih_l{i}": (6, sizes[i]), f"weight_hh_l{i}": (6, 2), f"bias_ih_l{i}": (6,),
                                 f"bias_hh_l{i}": (6,)}, suffix=f"_l{i}", first_call=0) for i in sizes]
    (found,) = propose(spec, units)
    assert places(found)["high/bias"] == "rnn.bias_ih_l1 rnn.bias_hh_l1"
    (part,) = parts_of(spec, found, units, {"rnn": 1})
    assert (part.layers, part.calls[0].inputs, part.calls[0].outputs) == (("low", "high"), ("x",), ("high",))


def test_attention_fits_torchs_own_and_four_linear_layers() -> None:
    x = Input((6, 8), name="x")
    spec = Model(x, layers.MultiHeadAttention(2, 4, name="attention")(x, x), name="m")
    own = unit("mha", "MultiheadAttention", {
        "in_proj_weight": (24, 8), "in_proj_bias": (24,), "out_proj.weight": (8, 8), "out_proj.bias": (8,)},
        settings={"num_heads": 2})
    (found,) = propose(spec, [own])
    assert places(found)["attention/key/kernel"] == "mha.in_proj_weight[8:16]"
    linears = [linear(f"a.{name}", 8, 8, index) for index, name in enumerate(("to_out", "to_v", "to_k", "to_q"))]
    (found,) = propose(spec, linears)
    assert places(found)["attention/query/kernel"] == "a.to_q.weight"
    assert places(found)["attention/attention_output/bias"] == "a.to_out.bias"
    (part,) = parts_of(spec, found, linears, {"a": 1})
    assert part.container


def test_weights_that_came_along_untransposed_are_named() -> None:
    spec = chain(3, 3)
    rng = np.random.default_rng(0)
    weights = {"dense_0/kernel": rng.standard_normal((3, 3)), "dense_0/bias": rng.standard_normal(3)}
    units = [linear("fc", 3, 3)]
    (found,) = propose(spec, units)
    came = {**weights, "dense_0/kernel": weights["dense_0/kernel"].T}
    checks = plan_checks(spec, found, units, {"training": [], "inference": []}, [], weights, came)
    (failed,) = [check for check in checks if check.fails]
    assert failed.cause is not None
    assert (failed.weight, failed.cause.key) == ("dense_0/kernel", "missing transpose")
