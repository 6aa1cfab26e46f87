"""execution.remat: its notations, its mistakes, and which calls of a model each mode computes again."""

from __future__ import annotations

from typing import Any

import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.spec.execution import Execution
from harness.spec.explicit import explicit
from harness.spec.order import execution_order
from harness.spec.remat import check_remat, kept_numbers, recomputed_activations, recomputed_calls, told


def model() -> Any:
    h = x = Input((8, 8, 4), name="x")
    shared = layers.BatchNormalization(name="shared")
    for number in range(6):
        inner = shared(layers.Conv2D(4, 3, padding="same", activation="gelu", name=f"conv_{number}")(h))
        h = layers.Add(name=f"add_{number}")([h, inner])
    h = layers.LSTM(3, name="lstm")(layers.Reshape((64, 4), name="rows")(h))
    return Model(x, layers.Dense(2, name="y")(h), name="residual")


@pytest.mark.parametrize(("written", "read"), [
    (None, None), (False, None), ("full", "full"), ({"mode": "full"}, "full"), ("larger_than", "larger_than:1024"),
    ("larger_than: 40", "larger_than:40"), ({"larger_than": 40}, "larger_than:40"),
    ({"mode": "larger_than", "output_size_threshold": 40}, "larger_than:40"), (["a", "b"], ("a", "b")),
    ({"mode": "list_of_layers", "layer_names": ["a"]}, ("a",)), ({"list_of_layers": ["a"]}, ("a",)),
])
def test_notations(written: Any, read: Any) -> None:
    execution = Execution(remat=written)
    assert execution.remat == read
    assert Execution.parse(explicit(execution)) == execution


def test_what_was_recorded_before_keeps_its_id() -> None:
    assert "remat" not in explicit(Execution())


@pytest.mark.parametrize(("written", "words"), [
    ("ful", "Did you mean 'full'"), ("larger_than:many", "a whole number"), ("larger_than:-1", "a whole number"),
    ({"mod": "full"}, "Did you mean 'mode'"), ([], "a list of names"), (["a", "a"], "twice"), (3, "a mode or a list"),
    ("list_of_layers", "without the layers"), ({"mode": "full", "layer_names": ["a"]}, "means nothing"),
    (True, "a mode"),
])
def test_mistakes(written: Any, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        Execution(remat=written)


def test_a_name_that_no_layer_has() -> None:
    with pytest.raises(SpecError, match="'shard'") as caught:
        check_remat(model(), ("conv_*", "shard"))
    assert "Did you mean 'shared'" in str(caught.value)
    assert "execution.remat" in str(caught.value)


def test_which_calls() -> None:
    spec = model()
    names = [node.name for node in execution_order(spec)]
    assert recomputed_calls(spec, None) == recomputed_calls(spec, "activations") == ()
    assert recomputed_calls(spec, "full") == tuple((name,) for name in names)
    assert [name for (name,) in recomputed_calls(spec, "larger_than:255")] == names[:-2]
    assert recomputed_calls(spec, "larger_than:256") == ()
    assert len(recomputed_calls(spec, ("shared", "add_0"))) == 7  # every call of a shared layer
    assert recomputed_activations(spec, "activations") == tuple(f"conv_{number}" for number in range(6))


def test_blocks_are_cut_where_least_lies_between() -> None:
    spec = model()
    order = [node.name for node in execution_order(spec)]
    blocks = recomputed_calls(spec, "blocks")
    assert [name for block in blocks for name in block] == order[:sum(map(len, blocks))]
    # One tensor lies between two blocks: they end where a sum does.
    assert all(block[-1].startswith("add_") for block in blocks)
    assert len(blocks) > 1
    assert kept_numbers(spec, None) == 19 * 256 + 3 + 2
    assert kept_numbers(spec, "blocks") < 0.7 * kept_numbers(spec, None)
    assert f"calls recomputed in {len(blocks)} blocks" in told(spec, "blocks")
