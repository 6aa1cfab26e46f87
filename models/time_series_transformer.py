"""A Transformer that forecasts: the encoder of Vaswani et al. 2017 over the steps of a window, as Zerveas et al. 2020
(https://arxiv.org/abs/2010.02803) use it for series."""

from harness import Input, Model, SpecError, layers, ops


def time_series_transformer(input_shape=(48, 1), horizon=1, targets=1, width=64, heads=4, feedforward=128, depth=2,
                            dropout=0.1, activation="gelu"):
    """Each step's values through one Dense, learned positions, `depth` encoder blocks, all steps side by side, a Dense.

    input_shape: (steps, features), what the data's step `windows` leaves. Output: "forecast" (horizon,), or (horizon,
    targets) of several, for mean_squared_error or mean_absolute_error. Unlike Zerveas et al. normalization is over the
    features, in front of each sub-block. dropout: in and behind each sub-block.
    """
    if width % heads:
        raise SpecError(f"width must be a multiple of heads, got {width} and {heads}.")
    series = Input(input_shape, name="series")
    x = layers.Dense(width, name="values")(series)
    places = ops.add(ops.zeros_like(series[:, :, 0], dtype="int32"), list(range(series.shape[1])), name="places")
    positions = layers.Embedding(series.shape[1], width, name="position_embedding")(places)
    x = layers.Add(name="embedded")([x, positions])
    for number in range(1, depth + 1):
        x = encoder_block(x, heads, feedforward, dropout, activation, f"block_{number}")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = layers.Flatten(name="steps")(x)
    x = layers.Dense(horizon * targets, name="forecast" if targets == 1 else "horizon")(x)
    if targets > 1:
        x = layers.Reshape((horizon, targets), name="forecast")(x)
    return Model(series, x, name="time_series_transformer")


def encoder_block(x, heads, feedforward, dropout, activation, name):
    """Self-attention and a feed-forward network on (batch, steps, width), each behind a normalization and summed up."""
    width = x.shape[-1]
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_1")(x)
    y = layers.MultiHeadAttention(heads, width // heads, dropout=dropout, name=f"{name}_attention")(y, y)
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout_1")(y)
    x = layers.Add(name=f"{name}_add_1")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm_2")(x)
    y = layers.Dense(feedforward, activation=activation, name=f"{name}_feedforward_1")(y)
    y = layers.Dense(width, name=f"{name}_feedforward_2")(y)
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout_2")(y)
    return layers.Add(name=f"{name}_add_2")([x, y])
