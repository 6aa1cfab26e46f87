"""A convolutional recurrent network whose loss is CTC (Shi et al. 2015, https://arxiv.org/abs/1507.05717, for text in
images; the same form hears speech)."""

from harness import Input, Model, SpecError, layers

# Per convolution: channels, size, whether it is normalized, the pooling (time, frequency) behind it or None.
SMALL = ((32, 3, True, (2, 2)), (64, 3, True, (1, 2)), (96, 3, True, (1, 2)))
SHI = ((64, 3, False, (2, 2)), (128, 3, False, (2, 2)), (256, 3, False, None), (256, 3, False, (1, 2)),
       (512, 3, True, None), (512, 3, True, (1, 2)), (512, 2, False, None))


def crnn(input_shape=None, num_classes=11, configuration=None, convolutions=SMALL, units=(64,), projection=None,
         dropout=0.0):
    """Convolutions with ReLU that keep time and shrink frequency, bidirectional LSTMs of these `units`, and for every
    step that is left logits of the classes.

    input_shape: (frames, mels) or (frames, mels, channels); (98, 40) where nothing is said. num_classes: the blank,
    class 0, included. Output: "predictions" (steps, num_classes), for the loss "ctc", whose labels are 1 and more with
    zeros behind the last; there must be at least as many steps as labels, and one more for each pair of equal
    neighbours. convolutions: (channels, size, normalized, pooling in (time, frequency) or None) each. projection: units
    of a Dense between two LSTMs. dropout: behind each LSTM. configuration: "shi2015", for images of text 100 wide and
    32 high with time (the width) first: (100, 32), 37 classes, 8.3 million parameters; the last convolution is not
    padded, and the poolings that keep time have windows of 1x2, as the paper's table 1 says.
    """
    if configuration not in (None, "shi2015"):
        raise SpecError(f"configuration must be shi2015, got {configuration!r}.")
    if configuration:
        convolutions, units, projection, num_classes = SHI, (256, 256), 256, 37 if num_classes == 11 else num_classes
    x = sound = Input(input_shape or ((100, 32) if configuration else (98, 40)), name="log_mel")
    if len(sound.shape) == 3:
        x = layers.Reshape((*sound.shape[1:], 1), name="channels")(x)
    for number, (count, size, normalized, pooling) in enumerate(convolutions, 1):
        x = layers.Conv2D(count, size, padding="same" if size % 2 else "valid", name=f"conv_{number}")(x)
        if normalized:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        if pooling:
            x = layers.MaxPooling2D(pooling, name=f"pool_{number}")(x)
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="steps")(x)
    sizes = (units,) if isinstance(units, int) else tuple(units)
    for number, size in enumerate(sizes, 1):
        x = layers.Bidirectional(layers.LSTM(size, return_sequences=True), name=f"lstm_{number}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
        if projection and number < len(sizes):
            x = layers.Dense(projection, name=f"projection_{number}")(x)
    return Model(sound, layers.Dense(num_classes, name="predictions")(x), name=configuration or "crnn")
