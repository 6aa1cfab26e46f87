"""MobileNetV2, a network of inverted residuals for small devices (Sandler et al. 2018,
https://arxiv.org/abs/1801.04381)."""

from harness import Input, Model, layers

# Expansion, channels, blocks, strides of the first block: the paper's table 2.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet_v2(input_shape=(224, 224, 3), num_classes=1000, alpha=1.0, stages=STAGES, dropout=0.0, l2=0.0,
                 output_activation="softmax"):
    """A 3x3 stem, blocks that widen, filter each channel and narrow again, a 1x1 convolution, the mean, one Dense.

    alpha: factor on all channels, rounded to multiples of 8 as in the paper's own program; 3.5 million parameters at 1.
    stages: (expansion, channels, blocks, strides) each. input_shape: (height, width, channels), or (height, width).
    Names, momentum and epsilon of the normalizations are those of keras.applications, but that "same" padding takes
    the place of explicit zeros, which is the same thing. l2: factor of the kernels' penalty (4e-5 in the paper).
    output_activation: "softmax" gives probabilities, None logits.
    """
    regularizer = {"L2": {"l2": l2}} if l2 else None

    def normed(x, name, relu=True):
        x = layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=f"{name}_BN")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x

    def conv(x, count, name, size=1, strides=1, relu=True):
        x = layers.Conv2D(count, size, strides, padding="same", use_bias=False, kernel_regularizer=regularizer,
                          name=name)(x)
        return normed(x, name, relu)

    def block(x, count, strides, expansion, name):
        y, channels = x, x.shape[-1]
        if expansion > 1:
            y = conv(y, expansion * channels, f"{name}_expand")
        y = normed(layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name=f"{name}_depthwise")(y),
                   f"{name}_depthwise")
        y = conv(y, count, f"{name}_project", relu=False)
        return layers.Add(name=f"{name}_add")([x, y]) if channels == count and strides == 1 else y

    x = image = Input(input_shape, name="image")
    if len(image.shape) == 3:
        x = layers.Reshape((*image.shape[1:], 1))(x)
    x = conv(x, _multiple_of_8(32 * alpha), "Conv1", 3, 2)
    number = 0
    for expansion, count, blocks, strides in stages:
        for place in range(blocks):
            x = block(x, _multiple_of_8(count * alpha), strides if place == 0 else 1, expansion, f"block_{number}")
            number += 1
    x = conv(x, _multiple_of_8(1280 * max(alpha, 1.0)), "Conv_1")
    x = layers.GlobalAveragePooling2D()(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(image, outputs, name="mobilenet_v2")


def _multiple_of_8(channels):
    """The nearest multiple of 8, not more than a tenth below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
