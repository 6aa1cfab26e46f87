"""The Vision Transformer (Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929)."""

from harness import Input, Model, SpecError, layers, ops

# Patch size, width, heads, blocks. Ti and S are those of DeiT (Touvron et al. 2020, https://arxiv.org/abs/2012.12877).
CONFIGURATIONS = {
    "Ti/16": (16, 192, 3, 12), "S/16": (16, 384, 6, 12), "B/16": (16, 768, 12, 12), "B/32": (32, 768, 12, 12),
    "L/16": (16, 1024, 16, 24), "H/14": (14, 1280, 16, 32),
}


def vit(input_shape=None, num_classes=None, configuration=None, patch_size=4, width=64, heads=4, depth=4,
        feedforward=None, dropout=0.0, attention_dropout=0.0, epsilon=1e-6, output_activation="softmax"):
    """Patches as words, a class token in front, learned positions, encoder blocks, one Dense on the class token.

    configuration: "Ti/16", "S/16", "B/16" (86.6 million parameters), "B/32", "L/16" or "H/14" sets patch_size, width,
    heads and depth, and images of (224, 224, 3) and 1000 classes where nothing else is said; else (32, 32, 3) and 10.
    feedforward: 4 * width where None. Normalization stands in front of each sub-block; the GELU is the exact one.
    dropout: behind the positions and each Dense of a block. The head of pre-training (one more Dense with tanh) is left
    out, as the paper does when it fine-tunes. output_activation: "softmax" gives probabilities, None logits.
    """
    if configuration is not None:
        if configuration not in CONFIGURATIONS:
            raise SpecError(f"configuration must be one of {', '.join(CONFIGURATIONS)}, got {configuration!r}.")
        patch_size, width, heads, depth = CONFIGURATIONS[configuration]
    x = image = Input(input_shape or ((224, 224, 3) if configuration else (32, 32, 3)), name="image")
    if len(image.shape) == 3:
        x = layers.Reshape((*image.shape[1:], 1))(x)
    if x.shape[1] % patch_size or x.shape[2] % patch_size:
        raise SpecError(f"images of {x.shape[1]} x {x.shape[2]} do not divide into patches of {patch_size}.",
                        hint="Choose another patch_size, or resize the images.")
    if width % heads:
        raise SpecError(f"width must be a multiple of heads, got {width} and {heads}.")
    x = layers.Conv2D(width, patch_size, patch_size, name="patch_embedding")(x)
    x = layers.Reshape((x.shape[1] * x.shape[2], width), name="patches")(x)
    # One word more: row 0 of a table of one row, whatever the image.
    first = ops.zeros_like(x[:, :1, 0], dtype="int32", name="class_index")
    token = layers.Embedding(1, width, embeddings_initializer="zeros", name="class_token")(first)
    x = layers.Concatenate(axis=1, name="words")([token, x])
    places = ops.add(ops.zeros_like(x[:, :, 0], dtype="int32", name="first_place"), list(range(x.shape[1])),
                     name="places")
    positions = layers.Embedding(x.shape[1], width, name="position_embedding",
                                 embeddings_initializer={"TruncatedNormal": {"stddev": 0.02}})(places)
    x = layers.Add(name="embedded")([x, positions])
    if dropout:
        x = layers.Dropout(dropout, name="embedded_dropout")(x)
    for number in range(1, depth + 1):
        x = encoder_block(x, heads, feedforward or 4 * width, dropout, attention_dropout, epsilon, f"block_{number}")
    x = layers.LayerNormalization(epsilon=epsilon, name="norm")(x)
    classes = num_classes or (1000 if configuration else 10)
    outputs = layers.Dense(classes, activation=output_activation, name="predictions")(x[:, 0])
    return Model(image, outputs, name=f"vit_{configuration.lower().replace('/', '_')}" if configuration else "vit")


def encoder_block(x, heads, feedforward, dropout, attention_dropout, epsilon, name):
    """Self-attention and a feed-forward network on (batch, steps, width), each behind a normalization and summed up."""
    width = x.shape[-1]
    y = layers.LayerNormalization(epsilon=epsilon, name=f"{name}_norm_1")(x)
    y = layers.MultiHeadAttention(heads, width // heads, dropout=attention_dropout, name=f"{name}_attention")(y, y)
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout_1")(y)
    x = layers.Add(name=f"{name}_add_1")([x, y])
    y = layers.LayerNormalization(epsilon=epsilon, name=f"{name}_norm_2")(x)
    # Keras's string "gelu" is the exact one, with erf; ops.gelu approximates.
    y = layers.Dense(feedforward, activation="gelu", name=f"{name}_feedforward_1")(y)
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout_2")(y)
    y = layers.Dense(width, name=f"{name}_feedforward_2")(y)
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout_3")(y)
    return layers.Add(name=f"{name}_add_2")([x, y])
