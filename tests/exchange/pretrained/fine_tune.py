"""`python -m tests.exchange.pretrained.fine_tune BACKEND FOLDER`: two steps of fine-tuning the real sentence encoder in
float64, dropout on: FOLDER/BACKEND.npz has the losses and all weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import harness
from harness.exchange.pretrained.models import pretrained_model
from harness.exchange.pretrained.tokenizer import load_tokenizer
from tests.exchange.pretrained.cases import MINILM

# Definitions as WordNet writes them, and what they are of.
GLOSSES = {"a small rodent with a long tail": 0, "a domesticated carnivorous mammal": 0, "a tool for driving nails": 1,
           "a vehicle that moves on wheels": 1, "an intense feeling of deep affection": 2, "a feeling of great fear": 2}


def main(backend: str, folder: Path) -> None:
    tokenizer = load_tokenizer(MINILM)
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(12)
    encoded = tokenizer.encode_batch(list(GLOSSES))
    x = {"input_ids": np.array([item.ids for item in encoded]),
         "attention_mask": np.array([item.attention_mask for item in encoded])}
    spec = pretrained_model(MINILM, input_shape=(12,), head="classification", num_classes=3, inputs=tuple(x))
    recipe = {"weights": MINILM, "new": ["predictions"], "loss": "sparse_categorical_crossentropy", "batch_size": 4,
              "optimizer": {"SGD": {"learning_rate": 0.05, "momentum": 0.9}}}
    record = harness.train(spec, recipe, (x, np.array(list(GLOSSES.values()))), backend, dtype="float64")
    np.savez(folder / f"{backend}.npz", losses=record.losses, **record.weights)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
