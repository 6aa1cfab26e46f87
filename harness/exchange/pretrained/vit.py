"""The Vision Transformer as Hugging Face's transformers writes it (modeling_vit.py), for models/vit.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError
from harness.exchange.pretrained.layouts import (
    CONVOLUTION,
    HEADS_BIAS,
    INTO_HEADS,
    LINEAR,
    OUT_OF_HEADS,
    WITHOUT_BATCH,
)
from harness.exchange.pretrained.mapping import Architecture, Ignored, Rule, linear, norm
from harness.exchange.pretrained.settings import activation, classes, parameters

LAYER = "{prefix}encoder.layer.{n-1}"
RULES = (
    Rule("class_token/embeddings", "{prefix}embeddings.cls_token", WITHOUT_BATCH),
    Rule("position_embedding/embeddings", "{prefix}embeddings.position_embeddings", WITHOUT_BATCH),
    *linear("patch_embedding", "{prefix}embeddings.patch_embeddings.projection", CONVOLUTION),
    *(rule for role in ("query", "key", "value") for rule in (
        Rule(f"block_{{n}}_attention/{role}/kernel", f"{LAYER}.attention.attention.{role}.weight", INTO_HEADS),
        Rule(f"block_{{n}}_attention/{role}/bias", f"{LAYER}.attention.attention.{role}.bias", HEADS_BIAS))),
    *linear("block_{n}_attention/attention_output", f"{LAYER}.attention.output.dense", OUT_OF_HEADS),
    *norm("block_{n}_norm_1", f"{LAYER}.layernorm_before"),
    *norm("block_{n}_norm_2", f"{LAYER}.layernorm_after"),
    *linear("block_{n}_feedforward_1", f"{LAYER}.intermediate.dense", LINEAR),
    *linear("block_{n}_feedforward_2", f"{LAYER}.output.dense", LINEAR),
    *norm("norm", "{prefix}layernorm"),
    *linear("predictions", "classifier", LINEAR),
)
IGNORED = (
    Ignored("{prefix}pooler.*", "the model has no pooler: its head reads the class token"),
    Ignored("{prefix}embeddings.mask_token", "of pre-training with masked images"),
    Ignored("classifier.*", "the model has another head"),
)
NAMES = {"hidden_size": "width", "num_hidden_layers": "depth", "num_attention_heads": "heads",
         "intermediate_size": "feedforward", "patch_size": "patch_size", "layer_norm_eps": "epsilon",
         "hidden_dropout_prob": "dropout", "attention_probs_dropout_prob": "attention_dropout"}


def vit_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of models/vit.py for a config.json."""
    activation(config, "hidden_act", ("gelu",))
    size, patch, channels = config.get("image_size", 224), config.get("patch_size", 16), config.get("num_channels", 3)
    if not isinstance(size, int) or not isinstance(patch, int):
        raise SpecError(f"image_size and patch_size are one number each, got {size!r} and {patch!r}.",
                        where="config.json")
    return {**parameters(config, NAMES, {"qkv_bias": True}), **classes(config), "input_shape": (size, size, channels)}


ARCHITECTURE = Architecture(
    "vit", "vit", "embeddings.cls_token", ("", "vit."), RULES, IGNORED, vit_parameters,
    {"ViTModel": {}, "ViTForImageClassification": {}},
)
