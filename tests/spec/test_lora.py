"""Adapters as a transform of specs: which layers get them, what they are, what is refused."""

from __future__ import annotations

import pytest

from harness import Input, Model, layers
from harness.errors import SpecError
from harness.spec.explicit import explicit
from harness.spec.lora import LoRA, adapted_layers, is_adapter, with_lora, without_lora
from harness.spec.model import ModelSpec
from harness.spec.recipe import Recipe


def small(**attention) -> ModelSpec:
    ids = Input((6,), name="ids", dtype="int32")
    x = layers.Embedding(11, 8, name="tokens")(ids)
    attended = layers.MultiHeadAttention(2, 4, name="block_attention", **attention)(x, x)
    x = layers.LayerNormalization(name="block_norm")(layers.Add(name="block_add")([x, attended]))
    x = layers.Dense(16, activation="relu", name="block_dense", kernel_regularizer="l2")(x)
    x = layers.EinsumDense("abc,cd->abd", (6, 8), bias_axes="d", name="block_einsum")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return Model(ids, layers.Dense(3, activation="softmax", name="head")(x), name="small")


def lora(*patterns: str, **more) -> LoRA:
    return LoRA(**{"rank": 2, "layers": patterns, **more})


def shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    return {weight.name: weight.shape for weight in spec.weights if is_adapter(weight.role)}


def test_a_pattern_takes_what_can_be_adapted_and_of_attention_the_query_and_the_value() -> None:
    spec = with_lora(small(), lora("block_*"))
    assert adapted_layers(spec) == ["block_attention", "block_dense", "block_einsum"]
    assert shapes(spec) == {
        "block_attention/query/lora_kernel_a": (8, 2), "block_attention/query/lora_kernel_b": (2, 2, 4),
        "block_attention/value/lora_kernel_a": (8, 2), "block_attention/value/lora_kernel_b": (2, 2, 4),
        "block_dense/lora_kernel_a": (8, 2), "block_dense/lora_kernel_b": (2, 16),
        "block_einsum/lora_kernel_a": (16, 2), "block_einsum/lora_kernel_b": (2, 8),
    }
    assert [weight.name for weight in spec.weights if weight.trainable and weight.layer == "block_dense"] == [
        "block_dense/lora_kernel_a", "block_dense/lora_kernel_b"]
    assert spec.layers["head"] is small().layers["head"] or spec.layers["head"].trainable


def test_projections_are_named_behind_the_layer() -> None:
    spec = with_lora(small(), lora("*/key", "*/attention_output", "tokens"))
    assert set(shapes(spec)) == {f"block_attention/{part}/lora_kernel_{letter}" for part in ("key", "attention_output")
                                 for letter in "ab"} | {"tokens/lora_embeddings_a", "tokens/lora_embeddings_b"}
    assert shapes(spec)["block_attention/attention_output/lora_kernel_a"] == (2, 4, 2)
    both = with_lora(small(), lora("block_attention", "*/key"))
    assert set(both.layers["block_attention"].lora_projections) == {"query", "key", "value"}
    assert "block_attention/gate/lora_kernel_a" in shapes(with_lora(small(use_gate=True), lora("*/gate")))


def test_the_scale_is_alpha_over_rank_and_1_without_alpha() -> None:
    assert lora("*", alpha=6.0).scale == 3.0
    assert lora("*").scale == 1.0
    assert with_lora(small(), lora("head", alpha=6.0)).layers["head"].lora_scale == 3.0


def test_what_a_model_was_comes_back() -> None:
    spec = small()
    assert without_lora(with_lora(spec, lora("*"))).digest == spec.digest
    adapted = with_lora(spec, lora("*", alpha=4.0, dropout=0.1))
    assert ModelSpec.from_data(adapted.to_data()).digest == adapted.digest


def test_only_an_embedding_has_no_dropout() -> None:
    spec = with_lora(small(), lora("*", dropout=0.3))
    stochastic = [name for name, layer in spec.layers.items() if layer.stochastic]
    assert stochastic == ["block_attention", "block_dense", "block_einsum", "head"]


def test_flops_count_the_thin_products() -> None:
    spec, adapted = small(), with_lora(small(), lora("block_dense", "block_attention"))
    dense = 2 * 6 * 2 * (8 + 16)
    attention = 2 * 2 * 6 * 2 * (8 + 8)  # of query and value: six places, eight features in, eight out
    assert adapted.flops - spec.flops == dense + attention


@pytest.mark.parametrize(("patterns", "model", "words"), [
    (("blokc_dense",), small(), ("no layer fits 'blokc_dense'", "Did you mean 'block_dense'")),
    (("block_norm", "head"), small(), ("'block_norm' fits no layer", "LayerNormalization", "MultiHeadAttention")),
    (("head",), with_lora(small(), LoRA(rank=1, layers="head")), ("has adapters already", "merge_lora")),
    (("*/gate",), small(), ("no layer fits '*/gate'",)),
])
def test_patterns_that_lead_nowhere_are_refused(patterns, model, words) -> None:
    with pytest.raises(SpecError) as caught:
        with_lora(model, lora(*patterns))
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: LoRA(rank=0, layers="*"), ("rank", "1")),
    (lambda: LoRA(rank=2), ("layers", "required")),
    (lambda: LoRA(rank=2, layers="*", dropout=1.0), ("dropout",)),
    (lambda: LoRA.parse("all"), ("lora", "rank: 8")),
    (lambda: layers.LoRADense(3, kernel_constraint="NonNeg", lora_rank=2), ("kernel_constraint",)),
    (lambda: layers.LoRAEmbedding(3, 2, lora_rank=2, lora_dropout=0.1), ("lora_dropout", "ids")),
    (lambda: layers.LoRAMultiHeadAttention(2, 3, lora_rank=2, lora_projections=["quary"]), ("'quary'", "query")),
    (lambda: layers.LoRAMultiHeadAttention(2, 3, lora_rank=2, lora_projections=["gate"]), ("'gate'",)),
])
def test_wrong_arguments_are_refused(make, words) -> None:
    with pytest.raises(SpecError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_recipe_reads_back_and_old_recipes_keep_their_form() -> None:
    recipe = Recipe.parse({"loss": "mse", "phases": [
        {"name": "a"},
        {"name": "b", "epochs": 3, "lora": {"rank": 4, "alpha": 8, "layers": ["*"], "dropout": 0.1},
         "unfreeze_schedule": {1: ["head"], 2: "block_*"}, "layer_decay": {"factor": 0.9, "order": ["a", "b"]},
         "resize": {"tokens": {"input_dim": 12, "new_rows": {"RandomNormal": {"stddev": 0.1}}}}},
        {"name": "c", "merge_lora": True}], "pretrained_in": "pytorch"})
    assert Recipe.parse(recipe.to_data()) == recipe
    assert Recipe.parse(explicit(recipe)) == recipe
    plain = explicit(Recipe.parse({"loss": "mse", "phases": [{"name": "a"}]}))
    new = {"lora", "merge_lora", "unfreeze_schedule", "layer_decay", "resize", "pretrained_in"}
    assert not new & ({*plain} | {*plain["phases"][0]})
