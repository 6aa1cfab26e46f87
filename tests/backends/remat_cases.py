"""Models whose calls leave something behind or draw, for rematerialization: what test_remat.py trains in each
framework, with and without. No framework here."""

from __future__ import annotations

from typing import Any

from harness import Input, Model, layers
from tests.backends.program_cases import CLASSES, MODELS, Case


def residual() -> Any:
    """Batch normalization, sums and activations that write over their inputs in PyTorch, one normalization that is
    called twice, and a penalty on an output."""
    h = image = Input((8, 8, 2), name="image")
    h = layers.Conv2D(4, 3, padding="same", activity_regularizer={"L2": {"l2": 0.01}}, name="stem")(h)
    shared = layers.BatchNormalization(name="shared")
    for number in range(2):
        inner = layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"conv_{number}")(h)
        inner = layers.ReLU(name=f"relu_{number}")(shared(inner))
        inner = layers.BatchNormalization(renorm=number == 1, name=f"norm_{number}")(
            layers.Conv2D(4, 3, padding="same", activation="gelu", name=f"second_{number}")(inner))
        h = layers.Activation("relu", name=f"out_{number}")(layers.Add(name=f"add_{number}")([h, inner]))
    pooled = layers.GlobalAveragePooling2D(name="pool")(h)
    return Model(image, layers.Dense(CLASSES, activation="softmax", name="label")(pooled), name="residual")


def attentive() -> Any:
    """A transformer with masks, a dropout that is called twice, and an embedding whose weights are those of the scores
    as well (weight tying)."""
    words = Input((5,), dtype="int32", name="words")
    embedding = layers.ReversibleEmbedding(9, 8, mask_zero=True, name="embedding")
    dropout = layers.Dropout(0.2, name="dropout")
    h = dropout(embedding(words))
    for number in range(2):
        attended = layers.MultiHeadAttention(2, 4, dropout=0.1, use_bias=False, name=f"attention_{number}")(h, h)
        h = layers.LayerNormalization(name=f"first_{number}")(layers.Add(name=f"sum_{number}")([h, attended]))
        wide = layers.Dense(16, activation="gelu", name=f"wide_{number}")(h)
        narrow = layers.Dense(8, name=f"narrow_{number}")(wide)
        narrow = dropout(narrow) if number == 0 else narrow
        h = layers.LayerNormalization(name=f"last_{number}")(layers.Add(name=f"total_{number}")([h, narrow]))
    scores = layers.GlobalAveragePooling1D(name="pool")(embedding(h, reverse=True))
    return Model(words, layers.Dense(CLASSES, activation="softmax", name="label")(scores), name="attentive")


MODELS |= {"residual": residual, "attentive": attentive}
# Model -> the modes it is trained in; the last ones name layers.
MODES: dict[str, tuple[Any, ...]] = {
    "residual": ("full", "blocks", "activations", "larger_than:200", ("shared", "norm_*", "add_*", "out_*", "stem")),
    "attentive": ("full", "blocks", "activations", ("dropout", "attention_*", "embedding")),
}
CASES = {name: Case(name, recipe) for name, recipe in (("residual", "accumulation"), ("attentive", "adam"))}
DEEP, DEEP_BATCH = 40, 8


def deep() -> Any:
    """40 calls whose results have to be kept for the gradient of the first layer: 8 MiB each, 320 MiB in all. Nothing
    to multiply, so that it is cheap."""
    x = Input((512, 512), name="x")
    h = layers.LayerNormalization(name="first")(x)
    for number in range(DEEP):
        h = layers.Activation("tanh", name=f"tanh_{number}")(h)
    return Model(x, layers.Dense(1, name="y")(layers.GlobalAveragePooling1D(name="pool")(h)), name="deep")
