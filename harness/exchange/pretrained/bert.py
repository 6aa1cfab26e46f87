"""BERT and MiniLM as Hugging Face's transformers writes them (modeling_bert.py), for models/bert.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.exchange.pretrained.layouts import HEADS_BIAS, INTO_HEADS, LINEAR, ONE_ROW, OUT_OF_HEADS
from harness.exchange.pretrained.mapping import Architecture, Ignored, Rule, linear, norm
from harness.exchange.pretrained.settings import activation, classes, parameters

LAYER = "{prefix}encoder.layer.{n-1}"
RULES = (
    Rule("word_embedding/embeddings", "{prefix}embeddings.word_embeddings.weight"),
    Rule("position_embedding/embeddings", "{prefix}embeddings.position_embeddings.weight"),
    Rule("type_embedding/embeddings", "{prefix}embeddings.token_type_embeddings.weight"),
    *norm("embedding_norm", "{prefix}embeddings.LayerNorm"),
    *(rule for role in ("query", "key", "value") for rule in (
        Rule(f"block_{{n}}_attention/{role}/kernel", f"{LAYER}.attention.self.{role}.weight", INTO_HEADS),
        Rule(f"block_{{n}}_attention/{role}/bias", f"{LAYER}.attention.self.{role}.bias", HEADS_BIAS))),
    *linear("block_{n}_attention/attention_output", f"{LAYER}.attention.output.dense", OUT_OF_HEADS),
    *norm("block_{n}_norm_1", f"{LAYER}.attention.output.LayerNorm"),
    *linear("block_{n}_feedforward_1", f"{LAYER}.intermediate.dense", LINEAR),
    *linear("block_{n}_feedforward_2", f"{LAYER}.output.dense", LINEAR),
    *norm("block_{n}_norm_2", f"{LAYER}.output.LayerNorm"),
    *linear("pooler", "{prefix}pooler.dense", LINEAR),
    *linear("predictions", "classifier", LINEAR),
    *linear("mlm_dense", "cls.predictions.transform.dense", LINEAR),
    *norm("mlm_norm", "cls.predictions.transform.LayerNorm"),
    Rule("mlm_bias/embeddings", ("cls.predictions.bias", "cls.predictions.decoder.bias"), ONE_ROW),
)
IGNORED = (
    Ignored("{prefix}embeddings.position_ids", "a counter 0, 1, 2, ..., no weight"),
    Ignored("{prefix}pooler.*", "the model has no pooler"),
    Ignored("cls.predictions.decoder.weight", "the word embeddings once more",
            equals="{prefix}embeddings.word_embeddings.weight"),
    Ignored("cls.predictions.decoder.bias", "the bias of the predictions once more", equals="cls.predictions.bias"),
    Ignored("cls.predictions.*", "the model has no head for masked words"),
    Ignored("cls.seq_relationship.*", "the head for the next sentence, of pre-training"),
    Ignored("classifier.*", "the model has another head"),
    Ignored("qa_outputs.*", "the model has another head"),
)
NAMES = {"vocab_size": "vocabulary", "hidden_size": "width", "num_hidden_layers": "depth",
         "num_attention_heads": "heads", "intermediate_size": "feedforward",
         "max_position_embeddings": "max_positions", "type_vocab_size": "types", "layer_norm_eps": "epsilon",
         "hidden_dropout_prob": "dropout", "attention_probs_dropout_prob": "attention_dropout"}
FIXED = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False,
         "tie_word_embeddings": True}


def bert_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of models/bert.py for a config.json."""
    found = parameters(config, NAMES, FIXED)
    if "dropout" in found:
        found["attention_output_dropout"] = found["dropout"]
    return {**found, **classes(config), "activation": activation(config, "hidden_act", ("gelu", "relu", "silu")),
            "configuration": "bert-base-uncased"}


ARCHITECTURE = Architecture(
    "bert", "bert", "embeddings.word_embeddings.weight", ("", "bert."), RULES, IGNORED, bert_parameters,
    {"BertModel": {"head": "hidden"}, "BertForMaskedLM": {"head": "mlm"}, "BertForPreTraining": {"head": "mlm"},
     "BertForSequenceClassification": {"head": "classification"}},
)
