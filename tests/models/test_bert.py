"""BERT's library model: the published sizes to the last parameter, its cost by hand, its forms, its refusals."""

import numpy as np
import pytest

from harness import SpecError
from harness.models import load_model
from harness.spec.model import ModelSpec

TINY = {"input_shape": (6,), "vocabulary": 11, "width": 8, "depth": 2, "heads": 2, "feedforward": 12,
        "max_positions": 9}


# Counted by Hugging Face's transformers (`num_parameters()`) for the files of those names; google-research/bert's table
# of the small ones says 4.4, 11.3, 29.1 and 41.7 million with the two heads of pre-training.
@pytest.mark.parametrize(("configuration", "head", "parameters"), [
    ("bert-base-uncased", "pooled", 109_482_240), ("bert-base-cased", "pooled", 108_310_272),
    ("bert-large-uncased", "pooled", 335_141_888), ("minilm-l6-h384-uncased", "pooled", 22_713_216),
    ("minilm-l12-h384-uncased", "pooled", 33_360_000), ("distilbert-base-uncased", "hidden", 66_362_880),
    ("bert-base-uncased", "mlm", 109_514_298), ("distilbert-base-uncased", "mlm", 66_985_530),
    ("distilbert-base-uncased", "classification", 66_955_010), ("bert-tiny", "pooled", 4_385_920),
    ("bert-mini", "pooled", 11_170_560), ("bert-small", "pooled", 28_763_648), ("bert-medium", "pooled", 41_373_184),
])
def test_published_sizes(configuration: str, head: str, parameters: int) -> None:
    assert load_model("bert", configuration=configuration, head=head).parameters == parameters


def encoder_flops(steps: int, width: int, depth: int, feedforward: int) -> int:
    """2 per multiply-add: four projections, scores and their products with the values, two layers."""
    return depth * (8 * steps * width**2 + 4 * steps**2 * width + 4 * steps * width * feedforward)


@pytest.mark.parametrize(("head", "rest"), [
    ("hidden", 0), ("pooled", 2 * 768**2), ("classification", 2 * 768**2 + 2 * 768 * 26),
    ("mlm", 2 * 128 * 768**2 + 2 * 128 * 768 * 30522), ("embedding", 0),
])
def test_flops(head: str, rest: int) -> None:
    model = load_model("bert", head=head, num_classes=26)
    assert model.flops == encoder_flops(128, 768, 12, 3072) + rest


@pytest.mark.parametrize(("head", "shape"), [
    ("hidden", (None, 6, 8)), ("pooled", (None, 8)), ("classification", (None, 3)), ("mlm", (None, 6, 11)),
    ("embedding", (None, 8)),
])
def test_heads(head: str, shape: tuple) -> None:
    model = load_model("bert", **TINY, head=head, num_classes=3)
    assert model.tensors[model.outputs[0]] == shape
    assert ModelSpec.from_data(model.to_data()).digest == model.digest


def test_the_words_are_guessed_by_the_table_of_their_embeddings() -> None:
    model = load_model("bert", **TINY, head="mlm")
    assert [node.name for node in model.nodes if node.layer == "word_embedding"] == ["word_embedding",
                                                                                      "word_embedding@1"]
    assert sum(weight.shape == (11, 8) for weight in model.weights) == 1
    assert model.output_names == ("predictions",)


def test_inputs() -> None:
    names = [[item.name for item in load_model("bert", **TINY, **given).inputs] for given in (
        {}, {"types": 0}, {"inputs": ["input_ids"]}, {"inputs": ["token_type_ids", "input_ids"]})]
    assert names == [["input_ids", "attention_mask", "token_type_ids"], ["input_ids", "attention_mask"], ["input_ids"],
                     ["input_ids", "token_type_ids"]]
    # Without a mask it is made of the padding's id, unless there is none.
    assert "attention_mask_of_ids" in load_model("bert", **TINY, inputs=["input_ids"]).layers
    assert "seen" not in load_model("bert", **TINY, inputs=["input_ids"], padding_id=None).layers


def test_positions_are_whole_numbers() -> None:
    model = load_model("bert", **TINY)
    (node,) = [node for node in model.nodes if node.name == "positions"]
    assert node.arguments["x2"] == {"array": [0, 1, 2, 3, 4, 5], "dtype": "int32"}


def test_first_weights_are_as_small_as_in_the_paper() -> None:
    from harness.plan.initial import initial_weights

    weights = initial_weights(load_model("bert", configuration="bert-tiny"), 0)
    for name in ("word_embedding/embeddings", "block_1_feedforward_1/kernel", "block_2_attention/query/kernel"):
        # Cut off at two standard deviations of 0.02.
        assert np.abs(weights[name]).max() <= 0.04
        assert weights[name].std() == pytest.approx(0.0176, rel=0.05)


@pytest.mark.parametrize(("given", "message"), [
    ({"configuration": "bert-base"}, "there is no configuration 'bert-base'; known: bert-tiny"),
    ({"head": "ner"}, "there is no head 'ner'"), ({"heads": 3}, "width=8 is no multiple of heads=3"),
    ({"input_shape": (10,)}, "10 steps are more than max_positions=9"),
    ({"inputs": ("attention_mask",)}, "inputs are input_ids and, if wanted"),
    ({"types": 0, "inputs": ("input_ids", "token_type_ids")}, "without types .* takes no token_type_ids"),
])
def test_refusals(given: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_model("bert", **{**TINY, **given})
