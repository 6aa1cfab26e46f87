"""DistilBERT as Hugging Face's transformers writes it (modeling_distilbert.py), for models/bert.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.exchange.pretrained.layouts import HEADS_BIAS, INTO_HEADS, LINEAR, ONE_ROW, OUT_OF_HEADS
from harness.exchange.pretrained.mapping import Architecture, Ignored, Rule, linear, norm
from harness.exchange.pretrained.settings import activation, classes, parameters

LAYER = "{prefix}transformer.layer.{n-1}"
RULES = (
    Rule("word_embedding/embeddings", "{prefix}embeddings.word_embeddings.weight"),
    Rule("position_embedding/embeddings", "{prefix}embeddings.position_embeddings.weight"),
    *norm("embedding_norm", "{prefix}embeddings.LayerNorm"),
    *(rule for role, short in (("query", "q"), ("key", "k"), ("value", "v")) for rule in (
        Rule(f"block_{{n}}_attention/{role}/kernel", f"{LAYER}.attention.{short}_lin.weight", INTO_HEADS),
        Rule(f"block_{{n}}_attention/{role}/bias", f"{LAYER}.attention.{short}_lin.bias", HEADS_BIAS))),
    *linear("block_{n}_attention/attention_output", f"{LAYER}.attention.out_lin", OUT_OF_HEADS),
    *norm("block_{n}_norm_1", f"{LAYER}.sa_layer_norm"),
    *linear("block_{n}_feedforward_1", f"{LAYER}.ffn.lin1", LINEAR),
    *linear("block_{n}_feedforward_2", f"{LAYER}.ffn.lin2", LINEAR),
    *norm("block_{n}_norm_2", f"{LAYER}.output_layer_norm"),
    *linear("pooler", "pre_classifier", LINEAR),
    *linear("predictions", "classifier", LINEAR),
    *linear("mlm_dense", "vocab_transform", LINEAR),
    *norm("mlm_norm", "vocab_layer_norm"),
    Rule("mlm_bias/embeddings", "vocab_projector.bias", ONE_ROW),
)
IGNORED = (
    Ignored("{prefix}embeddings.position_ids", "a counter 0, 1, 2, ..., no weight"),
    Ignored("vocab_projector.weight", "the word embeddings once more",
            equals="{prefix}embeddings.word_embeddings.weight"),
    Ignored("vocab_*", "the model has no head for masked words"),
    Ignored("pre_classifier.*", "the model has another head"),
    Ignored("classifier.*", "the model has another head"),
    Ignored("qa_outputs.*", "the model has another head"),
)
NAMES = {"vocab_size": "vocabulary", "dim": "width", "n_layers": "depth", "n_heads": "heads",
         "hidden_dim": "feedforward", "max_position_embeddings": "max_positions", "dropout": "dropout",
         "attention_dropout": "attention_dropout"}
FIXED = {"tie_word_embeddings": True}


def distilbert_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of models/bert.py for a config.json. (Sinusoidal positions are only how the table began.)"""
    found = parameters(config, NAMES, FIXED)
    return {**found, **classes(config), "activation": activation(config, "activation", ("gelu", "relu", "silu")),
            "configuration": "distilbert-base-uncased", "inputs": ("input_ids", "attention_mask")}


ARCHITECTURE = Architecture(
    "distilbert", "bert", "embeddings.word_embeddings.weight", ("", "distilbert."), RULES, IGNORED,
    distilbert_parameters,
    {"DistilBertModel": {"head": "hidden"}, "DistilBertForMaskedLM": {"head": "mlm"},
     "DistilBertForSequenceClassification": {"head": "classification"}},
)
