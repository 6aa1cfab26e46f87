"""A convolutional network for sounds given as log-mel spectra; with "vggish" that of Hershey et al. 2017
(https://arxiv.org/abs/1609.09430) as TensorFlow's research models publish it."""

from harness import Input, Model, SpecError, layers

# Channels of the convolutions before each pooling, units of the Dense layers behind them.
CONFIGURATIONS = {"vggish": (((64,), (128,), (256, 256), (512, 512)), (4096, 4096, 128))}


def audio_cnn(input_shape=None, num_classes=10, configuration=None, filters=((16,), (32,), (64,)), units=(),
              batch_normalization=True, dropout=0.0, output_activation="softmax"):
    """For each group of `filters` its 3x3 convolutions with ReLU, then max pooling that halves time and frequency; the
    mean over both, or, where there are `units`, Dense layers of these; one Dense.

    input_shape: (frames, mels), what the data's step `log_mel` leaves; a third axis of channels is taken too. (98, 40),
    one second every 10 ms, where nothing is said. configuration: "vggish", (96, 64), without normalization: 72.1
    million parameters up to its embedding of 128, the layer "dense_3". dropout: before the last layer.
    output_activation: "softmax" gives probabilities, None logits.
    """
    if configuration is not None:
        if configuration not in CONFIGURATIONS:
            raise SpecError(f"configuration must be one of {', '.join(CONFIGURATIONS)}, got {configuration!r}.")
        (filters, units), batch_normalization = CONFIGURATIONS[configuration], False
    x = sound = Input(input_shape or ((96, 64) if configuration else (98, 40)), name="log_mel")
    if len(sound.shape) == 3:
        x = layers.Reshape((*sound.shape[1:], 1), name="channels")(x)
    for group, counts in enumerate(filters, 1):
        for number, count in enumerate((counts,) if isinstance(counts, int) else counts, 1):
            name = f"{group}_{number}"
            x = layers.Conv2D(count, 3, padding="same", use_bias=not batch_normalization, name=f"conv_{name}")(x)
            if batch_normalization:
                x = layers.BatchNormalization(name=f"norm_{name}")(x)
            x = layers.ReLU(name=f"relu_{name}")(x)
        x = layers.MaxPooling2D(2, padding="same", name=f"pool_{group}")(x)
    x = layers.Flatten(name="flat")(x) if units else layers.GlobalAveragePooling2D(name="mean")(x)
    for number, size in enumerate((units,) if isinstance(units, int) else units, 1):
        x = layers.Dense(size, activation="relu", name=f"dense_{number}")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(sound, outputs, name=configuration or "audio_cnn")
