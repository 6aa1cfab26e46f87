"""FLOPs from the spec are those that torch.utils.flop_counter finds in the PyTorch lowering, forward and with the
gradients: equal to the last operation, not only to 1%. What that counter misses is in tests/conformance/counting.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import Input, Model, layers, load_model, ops
from harness.models import available_models
from harness.spec.flops import at_batch, training_work
from harness.spec.initializers import Ones
from harness.spec.layers import families
from harness.spec.layers.base import Shape, Weight
from tests.conformance.cases.operations import CASES as OPERATIONS
from tests.conformance.engine import BATCH as CASE_BATCH
from tests.conformance.engine import all_cases, inputs_of
from tests.forked import run_module
from tests.spec import published_models
from tests.spec.counted import BATCH, MODELS, SWEPT, cases, operations

# The families whose cases take most of a minute together.
OFTEN = ("merging", "core", "depthwise", "cells", "wrapping", "bidirectional", "recurrent_convolutional")
FAMILIES = [name for name in (family.__name__.rpartition(".")[2] for family in families()) if cases(name)]
Counts = dict[str, list]


def wanted_by(item: pytest.Item) -> list[str]:
    """What a test asks the counter for."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    if "model" in params:
        return [f"models/{params['model']}"]
    if "family" in params:
        return [f"cases/{key}" for key in cases(params["family"])]
    if "control" in params:
        return [f"controls/{params['control']}"]
    return [f"operations/{name}" for name in operations()] if "operations" in item.name else []


@pytest.fixture(scope="module")
def counts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """Of what this session selected, from a process with PyTorch."""
    folder = tmp_path_factory.mktemp("flops")
    wanted = [name for item in request.session.items if item.path == Path(__file__) for name in wanted_by(item)]
    (folder / "wanted.json").write_text(json.dumps(wanted))
    run_module("pytorch", "tests.spec.run_flop_counts", folder / "wanted.json", folder / "out.json")
    found: Counts = json.loads((folder / "out.json").read_text())
    return found


@pytest.mark.frameworks
@pytest.mark.parametrize("model", [*MODELS, *(pytest.param(name, marks=pytest.mark.sweep) for name in SWEPT)])
def test_of_a_model(model: str, counts: Counts) -> None:
    work = training_work({**MODELS, **SWEPT}[model](), BATCH)
    assert work is not None
    assert [work.forward, work.step] == counts[f"models/{model}"]


@pytest.mark.frameworks
@pytest.mark.parametrize("family", [pytest.param(name, marks=[] if name in OFTEN else [pytest.mark.sweep])
                                    for name in FAMILIES])
def test_of_every_configuration_of_a_layer(family: str, counts: Counts) -> None:
    table, wrong = all_cases(), {}
    for key in cases(family):
        case = table[key]
        arrays = {f"input_{index}": array for index, array in enumerate(inputs_of(key, case))}
        work = training_work(case.spec(), case.batch, sizes={name: array.shape[1:] for name, array in arrays.items()},
                             differentiated=[name for name, array in arrays.items() if array.dtype.kind == "f"])
        found = [None] if work is None else [work.forward, work.step]
        if found != counts[f"cases/{key}"]:
            wrong[key] = (found, counts[f"cases/{key}"])
    assert not wrong


@pytest.mark.frameworks
@pytest.mark.sweep
def test_of_operations(counts: Counts) -> None:
    by_name, wrong = {case.name: case for case in OPERATIONS}, {}
    for name in operations():
        case = by_name[name]
        arrays = {f"input_{index}": array for index, array in enumerate(case.arrays())}
        work = training_work(case.spec(), case.batch, sizes={name: array.shape[1:] for name, array in arrays.items()},
                             differentiated=[name for name, array in arrays.items() if array.dtype.kind == "f"])
        found = [None] if work is None else [work.forward, work.step]
        if found != counts[f"operations/{name}"]:
            wrong[name] = (found, counts[f"operations/{name}"])
    assert not wrong


@pytest.mark.frameworks
@pytest.mark.parametrize(("control", "plain", "full"), [
    # Batch 2. 4 channels of 6x6, each with its own 3x3: 4 x 36 x 9 multiply-adds, forward and for two gradients; the
    # counter takes the kernel's for 4 times as many.
    ("groups", 2 * 4 * 36 * 9 * 2 * (1 + 1 + 4), 2 * 4 * 36 * 9 * 2 * 3),
    # 3 heads, 5 steps, 4 features: scores and values, of which it sees nothing.
    ("attention", 0, 2 * 2 * 2 * 3 * 5 * 5 * 4 * 3),
    # 8 features, 4 units, 7 steps; the first step's state is zeros, without a gradient.
    ("lstm", 0, 2 * 2 * 16 * (3 * 7 * 8 + 3 * 7 * 4 - 4)),
    ("vector", 0, 2 * 2 * 5 * 8),
])
def test_what_the_counter_misses_by_itself(control: str, plain: int, full: int, counts: Counts) -> None:
    assert counts[f"controls/{control}"] == [plain, full]


def test_every_model_of_the_library_is_counted() -> None:
    assert {name.split(" ")[0].rstrip(",") for name in (*MODELS, *SWEPT)} >= set(available_models())
    assert CASE_BATCH > 1  # the cases would not show a forgotten batch


@pytest.mark.parametrize("name", published_models.MODELS)
def test_the_published_networks_are_those(name: str) -> None:
    assert published_models.MODELS[name]().parameters == published_models.PARAMETERS[name]


def test_by_hand() -> None:
    """784-64-64-10: 2 per multiply-add; backward twice that, the first layer's input gradient left out."""
    first, others = 2 * 784 * 64, 2 * (64 * 64 + 64 * 10)
    model = load_model("mlp_64_64")
    work = training_work(model, 32)
    assert work is not None
    assert (work.forward, work.backward) == (32 * (first + others), 32 * (first + 2 * others))
    assert model.flops == first + others
    # BERT-base on 128 words: 12 layers of projections, scores and values, two dense layers; the pooled first word.
    one = 8 * 768**2 * 128 + 4 * 128**2 * 768 + 4 * 768 * 3072 * 128
    assert published_models.bert_base().flops == 12 * one + 2 * 768**2


def test_freezing_saves_the_gradients() -> None:
    model = load_model("mlp_64_64")
    first, second, last = 2 * 784 * 64, 2 * 64 * 64, 2 * 64 * 10
    for frozen, backward in ((["hidden_1"], second + 2 * last), (["hidden_2"], first + second + 2 * last),
                             (["hidden_1", "hidden_2"], last), (["hidden_1", "hidden_2", "probabilities"], 0)):
        work = training_work(model.with_trainable(dict.fromkeys(frozen, False)))
        assert work is not None
        assert work.backward == backward, frozen


def test_what_is_open_is_not_guessed() -> None:
    x = Input((None, 8), name="x")
    model = Model(x, layers.LSTM(4)(x))
    assert training_work(model) is None
    work = training_work(model, 2, sizes={"x": (10, 8)})
    assert work is not None
    assert work.forward == 2 * 10 * 2 * 16 * (8 + 4)
    assert training_work(Model(x, ops.einsum("bij,bjk,bkl->bil", x, ops.transpose(x, (0, 2, 1)), x))) is None


def test_a_product_over_the_batch_grows_with_its_square() -> None:
    x = Input((8,), name="x")
    similar = Model(x, ops.matmul(x, ops.transpose(x)))
    assert [getattr(training_work(similar, batch), "forward", None) for batch in (1, 4)] == [16, 16 * 16]
    assert at_batch(similar, 4).tensors[similar.outputs[0]] == (4, 4)


def test_one_example_of_a_batch_that_is_fixed_or_taken_apart() -> None:
    fixed = Input(batch_shape=(8, 6), name="x")
    assert Model(fixed, layers.Dense(3)(ops.reshape(fixed, (8, 2, 3)))).flops == 2 * 2 * 3 * 3
    x = Input((6,), name="x")
    first, _ = ops.split(x, 2, axis=0)
    halved = Model(x, layers.Dense(3)(first))
    assert halved.flops == 2 * 6 * 3  # of what the layer sees: the batch is open
    work = training_work(halved, 4)
    assert work is not None
    assert work.forward == 2 * 2 * 6 * 3


def test_a_layer_of_ones_own_states_its_flops_alone() -> None:
    class Scaled(layers.Layer):
        def weights(self, *shapes: Shape) -> tuple[Weight, ...]:
            return (Weight("kernel", (3, 3), Ones()),)

        def flops(self, *shapes: Shape) -> int | None:
            return 18

    x = Input((3,), name="x")
    first, second = Scaled(name="first"), Scaled(name="second")
    work = training_work(Model(x, second(first(x))), 5)
    assert work is not None
    assert (work.forward, work.backward) == (5 * 36, 5 * (18 + 36))
