"""A convolutional network for images."""

from harness import Input, Model, layers


def cnn(input_shape=(32, 32, 3), num_classes=10, filters=(32, 64), kernel_size=3, units=128, activation="relu",
        batch_normalization=False, dropout=0.0, l2=0.0, output_activation="softmax"):
    """For each of `filters`: convolution, activation, max pooling that halves the image; then two Dense layers.

    input_shape: (height, width, channels), or (height, width) for images without a channel axis.
    batch_normalization: between convolution and activation, in place of the bias. dropout: before the last layer.
    l2: factor of the kernels' penalty. output_activation: "softmax" gives probabilities, None logits.
    """
    regularizer = {"L2": {"l2": l2}} if l2 else None
    x = image = Input(input_shape, name="image")
    if len(image.shape) == 3:
        x = layers.Reshape((*image.shape[1:], 1))(x)
    for number, count in enumerate((filters,) if isinstance(filters, int) else filters, start=1):
        x = layers.Conv2D(count, kernel_size, padding="same", activation=None if batch_normalization else activation,
                          use_bias=not batch_normalization, kernel_regularizer=regularizer, name=f"conv_{number}")(x)
        if batch_normalization:
            x = layers.BatchNormalization(name=f"norm_{number}")(x)
            x = layers.Activation(activation, name=f"activation_{number}")(x)
        x = layers.MaxPooling2D(2, padding="same", name=f"pool_{number}")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(units, activation=activation, kernel_regularizer=regularizer, name="hidden")(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(image, outputs, name="cnn")
