"""What fine-tuning makes of models, weights and learning rates, without a framework."""

from __future__ import annotations

import numpy as np
import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.plan.adapters import merged, trained_beside
from harness.plan.compiler import compile_phase
from harness.plan.finetune import continued_slots, model_of_phase, starting_weights
from harness.plan.initial import initial_weights
from harness.plan.layer_decay import depths, layer_multipliers
from harness.spec.lora import LoRA
from harness.spec.model import ModelSpec
from harness.spec.phase import LayerDecay
from harness.spec.recipe import Recipe


def mlp() -> ModelSpec:
    x = image = Input((5,), name="x")
    x = layers.Dense(4, activation="relu", name="hidden_1")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dense(4, activation="relu", name="hidden_2")(x)
    return Model(image, layers.Dense(3, activation="softmax", name="head")(x))


def text() -> ModelSpec:
    ids = Input((6,), name="ids", dtype="int32")
    x = layers.Embedding(7, 4, name="tokens")(ids)
    return Model(ids, layers.Dense(3, name="head")(layers.GlobalAveragePooling1D(name="mean")(x)))


def recipe(*phases, **more) -> Recipe:
    return Recipe.parse({"loss": "sparse_categorical_crossentropy", "batch_size": 8, "phases": list(phases), **more})


def trained(spec: ModelSpec) -> list[str]:
    return [weight.name for weight in spec.weights if weight.trainable]


def models_of(spec: ModelSpec, *phases) -> list[ModelSpec]:
    found = []
    for phase in recipe(*phases).resolved_phases():
        spec = model_of_phase(spec, phase)
        found.append(spec)
    return found


LORA = {"rank": 2, "alpha": 6.0, "layers": ["hidden_*"]}


# -- adapters

def test_only_adapters_train_and_what_the_phase_replaces_or_unfreezes() -> None:
    pairs = [f"hidden_{n}/lora_kernel_{letter}" for n in (1, 2) for letter in "ab"]
    (_, plain) = models_of(mlp(), {"name": "a"}, {"name": "b", "lora": LORA})
    assert trained(plain) == pairs
    (_, head) = models_of(mlp(), {"name": "a"}, {"name": "b", "lora": LORA, "unfreeze": ["head"]})
    assert trained(head) == [*pairs, "head/kernel", "head/bias"]
    (_, new) = models_of(mlp(), {"name": "a"}, {"name": "b", "lora": LORA, "replace": {
        "head": {"Dense": {"units": 5}}}})
    assert trained(new) == [*pairs, "head/kernel", "head/bias"]
    assert not new.layers["norm"].trainable, "in inference mode, as Keras's frozen batch normalization is"
    (_, _, later) = models_of(mlp(), {"name": "a"}, {"name": "b", "lora": LORA}, {"name": "c", "unfreeze": ["norm"]})
    assert trained(later) == ["hidden_1/lora_kernel_a", "hidden_1/lora_kernel_b", "norm/gamma", "norm/beta",
                              "hidden_2/lora_kernel_a", "hidden_2/lora_kernel_b"]


def test_adapters_begin_at_zero_are_drawn_by_keras_rule_and_the_rest_is_kept() -> None:
    spec = mlp()
    before = initial_weights(spec, 0)
    phases = recipe({"name": "a"}, {"name": "b", "lora": LORA}).resolved_phases()
    adapted = model_of_phase(spec, phases[1])
    weights = starting_weights(adapted, phases[1], 1, 0, before)
    assert all(np.array_equal(weights[name], before[name]) for name in before)
    assert not weights["hidden_1/lora_kernel_b"].any()
    a = weights["hidden_1/lora_kernel_a"]
    assert 0 < np.abs(a).max() <= np.sqrt(6 / 5)  # he_uniform of five inputs
    other = starting_weights(adapted, phases[1], 1, 1, before)
    assert not np.array_equal(a, other["hidden_1/lora_kernel_a"])


def test_merging_adds_alpha_over_rank_times_the_product() -> None:
    rng = np.random.default_rng(0)
    phases = recipe({"name": "a"}, {"name": "b", "lora": LORA}, {"name": "c", "merge_lora": True}).resolved_phases()
    spec = adapted = model_of_phase(mlp(), phases[1])
    before = {weight.name: rng.normal(size=weight.shape).astype(np.float32) for weight in spec.weights}
    spec = model_of_phase(adapted, phases[2])
    weights = starting_weights(spec, phases[2], 2, 0, before)
    assert set(weights) == {weight.name for weight in mlp().weights}
    a, b = (before[f"hidden_2/lora_kernel_{letter}"].astype(np.float64) for letter in "ab")
    expected = (before["hidden_2/kernel"].astype(np.float64) + 3.0 * a @ b).astype(np.float32)
    assert np.array_equal(weights["hidden_2/kernel"], expected)
    assert weights["hidden_2/kernel"].dtype == np.float32
    assert np.array_equal(weights["head/kernel"], before["head/kernel"])
    assert spec.layers["hidden_2"].trainable
    again = recipe({"name": "a"}, {"name": "b", "lora": LORA},
                   {"name": "c", "merge_lora": True, "lora": {"rank": 1, "layers": "head"}}).resolved_phases()[2]
    second = model_of_phase(adapted, again)
    assert trained(second) == ["head/lora_kernel_a", "head/lora_kernel_b"]
    assert np.array_equal(starting_weights(second, again, 2, 0, before)["hidden_2/kernel"], expected)


def test_adapters_alone() -> None:
    phase = recipe({"name": "b", "lora": LORA, "unfreeze": ["head", "norm"]}).resolved_phases()[0]
    spec = model_of_phase(mlp(), phase)
    weights = initial_weights(spec, 0)
    kept = trained_beside(spec, weights)
    assert set(kept) == {*(f"hidden_{n}/lora_kernel_{letter}" for n in (1, 2) for letter in "ab"), "head/kernel",
                         "head/bias", "norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance"}
    with pytest.raises(SpecError, match="no adapters"):
        trained_beside(mlp(), weights)


def test_half_an_adapter_is_not_merged() -> None:
    weights = {"d/kernel": np.zeros((3, 2)), "d/lora_kernel_a": np.zeros((3, 1))}
    with pytest.raises(SpecError, match="there is no d/lora_kernel_b"):
        merged(weights, LoRA(rank=1, layers="d"))
    with pytest.raises(SpecError, match="no phase before this one has lora"):
        recipe({"name": "a"}, {"name": "b", "merge_lora": True}).resolved_phases()


# -- gradual unfreezing

def test_a_schedule_becomes_phases_of_one_optimizer() -> None:
    phases = recipe({"name": "a"}, {
        "name": "fine", "epochs": 5, "freeze": ["*"], "optimizer": "SGD",
        "unfreeze_schedule": {0: ["head"], 1: ["hidden_2"], 3: ["hidden_1", "norm"]},
    }).resolved_phases()
    assert [(phase.name, phase.epochs) for phase in phases] == [
        ("a", 1), ("fine.epoch_0", 1), ("fine.epoch_1", 2), ("fine", 2)]
    assert [phase.continues_optimizer for phase in phases] == [False, False, True, True]
    spec, layers_of = mlp(), []
    for phase in phases[1:]:
        spec = model_of_phase(spec, phase)
        layers_of.append(sorted({name.split("/")[0] for name in trained(spec)}))
    assert layers_of == [["head"], ["head", "hidden_2"], ["head", "hidden_1", "hidden_2", "norm"]]


@pytest.mark.parametrize(("phase", "words"), [
    ({"epochs": 2, "unfreeze_schedule": {2: ["head"]}}, "no epoch 2 in a phase of 2"),
    ({"epochs": 2, "steps": 9, "unfreeze_schedule": {1: ["head"]}}, "does not go with steps"),
    ({"epochs": 2, "unfreeze_schedule": {1: ["head"]}, "keep_best": "loss"}, "does not go with keep_best"),
])
def test_schedules_that_cannot_be_are_refused(phase, words) -> None:
    with pytest.raises(SpecError, match=words):
        recipe({"name": "a", **phase}).resolved_phases()


def test_rates_run_on_over_the_stretches_of_a_phase() -> None:
    rate = {"SGD": {"learning_rate": {"WarmupDecay": {"learning_rate": 1.0, "warmup": 0.25}}}}

    def rates(**phase) -> list[float]:
        spec, iterations, found = mlp(), 0, []
        for index, stage in enumerate(recipe({"name": "f", "epochs": 4, "optimizer": rate, **phase}).resolved_phases()):
            spec = model_of_phase(spec, stage)
            tape = compile_phase(spec, stage, index=index, examples=16, seed=0, first_iteration=iterations).tape
            iterations += len(tape)
            found += tape.learning_rates.tolist()
        return found

    whole = rates()
    assert whole == [0.0, 0.5, 1.0, *(1 - n / 6 for n in range(1, 6))]
    assert rates(freeze=["*"], unfreeze_schedule={0: ["head"], 1: ["hidden_2"], 2: ["hidden_1"]}) == whole


# -- learning rates by depth

def test_rates_fall_group_by_group_and_the_head_keeps_its_own() -> None:
    assert layer_multipliers(mlp(), LayerDecay(factor=0.5, order=["hidden_1", "norm", "hidden_*"])) == {
        "hidden_1": 0.125, "norm": 0.25, "hidden_2": 0.5}
    phase = recipe({"name": "a", "layer_decay": {"factor": 0.5, "order": ["hidden_1"]},
                    "learning_rate_multipliers": {"*/bias": 2.0}}).resolved_phases()[0]
    plan = compile_phase(mlp(), phase, index=0, examples=16, seed=0)
    by_name = {variable.name: variable.multiplier for variable in plan.trainable}
    assert (by_name["hidden_1/kernel"], by_name["hidden_1/bias"], by_name["head/bias"]) == (0.5, 1.0, 2.0)
    with pytest.raises(SpecError, match="no layer fits 'hiden"):
        layer_multipliers(mlp(), LayerDecay(factor=0.5, order="hiden_1"))


def test_depth_is_counted_on_the_longest_way_to_an_output() -> None:
    x = image = Input((4,), name="x")
    x = layers.Dense(4, name="shared")(x)
    shared = layers.Dense(4, name="twice")
    y = layers.Activation("relu", name="plain")(shared(x))
    y = layers.Add(name="add")([x, shared(y)])
    spec = Model(image, layers.Dense(2, name="head")(y))
    assert depths(spec) == {"head": 0, "twice": 2, "shared": 3}
    assert layer_multipliers(mlp(), LayerDecay(factor=0.5)) == {
        "head": 1.0, "hidden_2": 0.5, "norm": 0.25, "hidden_1": 0.125}


# -- more rows

@pytest.mark.parametrize("rows", ["mean", "initializer", {"Constant": {"value": 0.25}}])
def test_an_embedding_keeps_its_rows_and_gets_new_ones(rows) -> None:
    spec = text()
    before = {name: array.astype(np.float32) for name, array in initial_weights(spec, 0).items()}
    phase = recipe({"name": "a"}, {"name": "b", "resize": {"tokens": {"input_dim": 10, "new_rows": rows}}}
                   ).resolved_phases()[1]
    bigger = model_of_phase(spec, phase)
    table = starting_weights(bigger, phase, 1, 0, before)["tokens/embeddings"]
    assert table.shape == (10, 4)
    assert table.dtype == np.float32
    assert np.array_equal(table[:7], before["tokens/embeddings"])
    if rows == "mean":
        assert np.allclose(table[7:], before["tokens/embeddings"].mean(0))
    elif rows == "initializer":
        assert 0 < np.abs(table[7:]).max() <= 0.05
        assert not np.array_equal(table[7:], starting_weights(bigger, phase, 1, 1, before)["tokens/embeddings"][7:])
    else:
        assert (table[7:] == 0.25).all()
    slots = {"momentum": dict(before)}
    assert set(continued_slots(bigger, phase, slots)["momentum"]) == {"head/kernel", "head/bias"}


def test_a_table_that_goes_back_grows_on_both_sides() -> None:
    ids = Input((6,), name="ids", dtype="int32")
    table = layers.ReversibleEmbedding(5, 3, tie_weights=False, name="tokens")
    spec = Model(ids, table(table(ids), reverse=True))
    phase = recipe({"name": "b", "resize": {"tokens": {"input_dim": 6}}}).resolved_phases()[0]
    bigger = model_of_phase(spec, phase)
    assert bigger.tensors[bigger.outputs[0]] == (None, 6, 6)
    weights = starting_weights(bigger, phase, 0, 0, initial_weights(spec, 0))
    assert weights["tokens/reverse_embeddings"].shape == (3, 6)


@pytest.mark.parametrize(("resize", "words"), [
    ({"tokens": {"input_dim": 3}}, "more than 3"),
    ({"head": {"input_dim": 9}}, "a Dense, not an Embedding"),
    ({"tokns": {"input_dim": 9}}, "Did you mean 'tokens'"),
    ({"tokens": 9}, "input_dim: 30524"),
])
def test_what_cannot_be_resized_is_refused(resize, words) -> None:
    with pytest.raises(SpecError, match=words):
        model_of_phase(text(), recipe({"name": "a", "resize": resize}).resolved_phases()[0])


# -- pretrained in one framework

def test_pretrained_in_lets_the_second_phase_start_from_that_framework() -> None:
    made = recipe({"name": "a"}, {"name": "b"}, {"name": "c"}, pretrained_in="pytorch").resolved_phases()
    assert [(phase.start_from, phase.pretraining) for phase in made] == [
        ("previous", True), ("pytorch", False), ("previous", False)]
    with pytest.raises(SpecError, match="needs a second phase"):
        recipe({"name": "a"}, pretrained_in="pytorch")
