"""GPT-2's library model: the published sizes to the last parameter, its cost by hand, its forms, its refusals."""

import pytest

from harness import SpecError
from harness.models import load_model
from harness.spec.model import ModelSpec

TINY = {"input_shape": (6,), "vocabulary": 11, "width": 8, "depth": 2, "heads": 2, "max_positions": 9}


# Counted by Hugging Face's transformers for the files of those names (the paper's table counts otherwise).
@pytest.mark.parametrize(("configuration", "parameters"), [
    ("gpt2", 124_439_808), ("gpt2-medium", 354_823_168), ("gpt2-large", 774_030_080), ("gpt2-xl", 1_557_611_200),
    ("distilgpt2", 81_912_576),
])
def test_published_sizes(configuration: str, parameters: int) -> None:
    assert load_model("gpt2", configuration=configuration).parameters == parameters


@pytest.mark.parametrize(("head", "rest"), [("hidden", 0), ("language_model", 2 * 128 * 768 * 50257),
                                            ("classification", 2 * 768 * 5)])
def test_flops(head: str, rest: int) -> None:
    """Attention counts every pair of steps, as everybody does, though half of them are masked."""
    blocks = 12 * (8 * 128 * 768**2 + 4 * 128**2 * 768 + 4 * 128 * 768 * 3072)
    assert load_model("gpt2", head=head, num_classes=5).flops == blocks + rest


def test_forms() -> None:
    model = load_model("gpt2", **TINY)
    assert model.tensors[model.outputs[0]] == (None, 6, 11)
    assert sum(weight.shape == (11, 8) for weight in model.weights) == 1
    assert load_model("gpt2", **TINY, head="hidden").tensors["norm"] == (None, 6, 8)
    for inputs in (("input_ids",), ("input_ids", "attention_mask")):
        found = load_model("gpt2", **TINY, head="classification", num_classes=3, inputs=inputs)
        assert found.tensors["predictions"] == (None, 3)
        assert [item.name for item in found.inputs] == list(inputs)
        assert ModelSpec.from_data(found.to_data()).digest == found.digest
    assert load_model("gpt2", **TINY, feedforward=5).layers["block_1_feedforward_1"].units == 5
    assert "block_1_gelu" in model.layers
    assert load_model("gpt2", **TINY, activation="relu").layers["block_1_feedforward_1"].activation == "relu"


def test_what_adds_to_the_residual_stream_begins_smaller() -> None:
    model = load_model("gpt2", **TINY)
    assert model.layers["block_1_feedforward_2"].kernel_initializer.stddev == pytest.approx(0.01)
    assert model.layers["block_1_feedforward_1"].kernel_initializer.stddev == pytest.approx(0.02)


@pytest.mark.parametrize(("given", "message"), [
    ({"configuration": "gpt3"}, "there is no configuration 'gpt3'; known: gpt2"),
    ({"head": "lm"}, "there is no head 'lm'"), ({"heads": 3}, "width=8 is no multiple of heads=3"),
    ({"input_shape": (10,)}, "10 steps are more than max_positions=9"),
    ({"inputs": ("attention_mask",)}, "inputs are input_ids and, if wanted"),
])
def test_refusals(given: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_model("gpt2", **{**TINY, **given})
