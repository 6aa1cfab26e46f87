"""GPT-2 as Hugging Face's transformers writes it (modeling_gpt2.py), for models/gpt2.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.exchange.pretrained.layouts import (
    CONV1D_INTO_HEADS,
    CONV1D_OUT_OF_HEADS,
    HEADS_BIAS,
    LINEAR,
    SAME,
    part,
)
from harness.exchange.pretrained.mapping import Architecture, Ignored, Rule, linear, norm
from harness.exchange.pretrained.settings import activation, classes, parameters

LAYER = "{prefix}h.{n-1}"
RULES = (
    Rule("word_embedding/embeddings", "{prefix}wte.weight"),
    Rule("position_embedding/embeddings", "{prefix}wpe.weight"),
    # One matrix (inputs, 3 * width) holds queries, keys and values side by side.
    *(rule for place, role in enumerate(("query", "key", "value")) for rule in (
        Rule(f"block_{{n}}_attention/{role}/kernel", f"{LAYER}.attn.c_attn.weight",
             part(CONV1D_INTO_HEADS, place, 3, axis=1)),
        Rule(f"block_{{n}}_attention/{role}/bias", f"{LAYER}.attn.c_attn.bias", part(HEADS_BIAS, place, 3, axis=0)))),
    *linear("block_{n}_attention/attention_output", f"{LAYER}.attn.c_proj", CONV1D_OUT_OF_HEADS),
    *norm("block_{n}_norm_1", f"{LAYER}.ln_1"),
    *norm("block_{n}_norm_2", f"{LAYER}.ln_2"),
    *linear("block_{n}_feedforward_1", f"{LAYER}.mlp.c_fc", SAME),
    *linear("block_{n}_feedforward_2", f"{LAYER}.mlp.c_proj", SAME),
    *norm("norm", "{prefix}ln_f"),
    Rule("predictions/kernel", "score.weight", LINEAR),
)
IGNORED = (
    Ignored("{prefix}h.*.attn.bias", "the triangle of the causal mask, no weight"),
    Ignored("{prefix}h.*.attn.masked_bias", "a constant of the causal mask, no weight"),
    Ignored("lm_head.weight", "the word embeddings once more", equals="{prefix}wte.weight"),
    Ignored("score.*", "the model has another head"),
)
NAMES = {"vocab_size": "vocabulary", "n_embd": "width", "n_layer": "depth", "n_head": "heads",
         "n_inner": "feedforward", "n_positions": "max_positions", "layer_norm_epsilon": "epsilon",
         "resid_pdrop": "dropout", "attn_pdrop": "attention_dropout"}
FIXED = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False,
         "tie_word_embeddings": True}


def gpt2_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of models/gpt2.py for a config.json (embd_pdrop is taken to be resid_pdrop, as in every file)."""
    chosen = activation({"activation_function": "gelu_new", **config}, "activation_function",
                        ("gelu_tanh", "gelu", "relu", "silu"))
    return {**parameters(config, NAMES, {**FIXED, "embd_pdrop": config.get("resid_pdrop", 0.1)}), **classes(config),
            "activation": chosen, "configuration": "gpt2"}


ARCHITECTURE = Architecture(
    "gpt2", "gpt2", "wte.weight", ("", "transformer."), RULES, IGNORED, gpt2_parameters,
    {"GPT2Model": {"head": "hidden"}, "GPT2LMHeadModel": {"head": "language_model"},
     "GPT2ForSequenceClassification": {"head": "classification", "inputs": ("input_ids", "attention_mask")}},
)
