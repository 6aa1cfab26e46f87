"""A Transformer encoder (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762) that classifies texts."""

from harness import Input, Model, layers, ops


def transformer_encoder(input_shape=(200,), num_classes=2, vocabulary=10000, width=64, heads=4, feedforward=128,
                        depth=2, dropout=0.1, mask_zero=False, activation="relu", output_activation="softmax"):
    """Word and position embeddings, `depth` encoder blocks, the mean over the steps, one Dense layer.

    input_shape: (steps,), word indices below `vocabulary`. width: of the embeddings, a multiple of `heads`.
    Normalization stands behind each residual sum, as in the paper and in BERT. mask_zero: index 0 is padding,
    is not attended to and does not count in the mean. output_activation: "softmax" gives probabilities, None
    logits.
    """
    x = words = Input(input_shape, dtype="int32", name="words")
    steps = words.shape[1]
    # 0, 1, 2, ... for every text, in whole numbers: half precision has none above 256.
    positions = ops.add(ops.zeros_like(words), list(range(steps)), name="positions")
    x = layers.Embedding(vocabulary, width, name="word_embedding")(words)
    x = layers.Add(name="embedded")([x, layers.Embedding(steps, width, name="position_embedding")(positions)])
    # Handed on by hand: a sum with the positions, which have no mask, loses that of an Embedding.
    present = ops.not_equal(words, 0, name="present") if mask_zero else None
    readable = ops.expand_dims(present, 1, name="readable") if mask_zero else None
    if dropout:
        x = layers.Dropout(dropout, name="embedded_dropout")(x)
    for number in range(1, depth + 1):
        x = encoder_block(x, heads, feedforward, dropout, activation, f"block_{number}", readable)
    x = mean_of(x, present) if mask_zero else layers.GlobalAveragePooling1D(name="mean")(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(words, outputs, name="transformer_encoder")


def mean_of(x, present):
    """The mean over the steps that are present: (batch, steps, width) and (batch, steps) to (batch, width)."""
    total = ops.sum(ops.where(ops.expand_dims(present, -1), x, 0.0), axis=1)
    return ops.divide(total, ops.maximum(ops.sum(present, axis=1, keepdims=True), 1), name="mean")


def encoder_block(x, heads, feedforward, dropout, activation, name, readable=None):
    """Self-attention and a feed-forward network on (batch, steps, width), each with dropout, sum and norm.

    readable: (batch, 1, steps), True for the steps that may be attended to; None for all.
    """
    width = x.shape[-1]
    attended = layers.MultiHeadAttention(heads, max(width // heads, 1), dropout=dropout, name=f"{name}_attention")(
        x, x, attention_mask=readable)
    if dropout:
        attended = layers.Dropout(dropout, name=f"{name}_dropout_1")(attended)
    x = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_1")(
        layers.Add(name=f"{name}_add_1")([x, attended]))
    hidden = layers.Dense(feedforward, activation=activation, name=f"{name}_feedforward_1")(x)
    hidden = layers.Dense(width, name=f"{name}_feedforward_2")(hidden)
    if dropout:
        hidden = layers.Dropout(dropout, name=f"{name}_dropout_2")(hidden)
    return layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_2")(
        layers.Add(name=f"{name}_add_2")([x, hidden]))
