"""A Transformer encoder (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762) that classifies texts."""

from harness import Input, Model, layers


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
    # 0, 1, 2, ... for every text: the indices times 0 plus their place.
    positions = layers.Rescaling(0.0, offset=tuple(float(step) for step in range(steps)), name="positions")(words)
    x = layers.Embedding(vocabulary, width, mask_zero=mask_zero, name="word_embedding")(words)
    x = layers.Add(name="embedded")([x, layers.Embedding(steps, width, name="position_embedding")(positions)])
    if dropout:
        x = layers.Dropout(dropout, name="embedded_dropout")(x)
    for number in range(1, depth + 1):
        x = encoder_block(x, heads, feedforward, dropout, activation, f"block_{number}")
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(words, outputs, name="transformer_encoder")


def encoder_block(x, heads, feedforward, dropout, activation, name):
    """Self-attention and a feed-forward network on (batch, steps, width), each with dropout, sum and norm."""
    width = x.shape[-1]
    attended = layers.MultiHeadAttention(heads, max(width // heads, 1), dropout=dropout, name=f"{name}_attention")(x, x)
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
