"""The residual network for CIFAR of He et al. 2015 (https://arxiv.org/abs/1512.03385, section 4.2)."""

from harness import Input, Model, SpecError, layers


def resnet(input_shape=(32, 32, 3), num_classes=10, depth=20, filters=16, l2=1e-4, output_activation="softmax"):
    """Three stages of (depth - 2) / 6 residual blocks each, with `filters`, 2 and 4 times as many channels.

    depth: 20, 32, 44, 56 and 110 in the paper; 8 is the smallest. Where the shape changes the shortcut is a
    1x1 convolution. input_shape: (height, width, channels), or (height, width) without a channel axis.
    l2: factor of the kernels' penalty. output_activation: "softmax" gives probabilities, None logits.
    """
    if not isinstance(depth, int) or depth < 8 or (depth - 2) % 6:
        raise SpecError(f"depth must be 6 n + 2 (8, 14, 20, 32, 44, 56, 110), got {depth!r}.")

    def conv(x, count, name, kernel_size=3, strides=1):
        return layers.Conv2D(count, kernel_size, strides, padding="same", use_bias=False,
                             kernel_initializer="he_normal", kernel_regularizer={"L2": {"l2": l2}} if l2 else None,
                             name=name)(x)

    def block(x, count, strides, name):
        shortcut = x
        if strides != 1 or x.shape[-1] != count:
            shortcut = conv(x, count, f"{name}_shortcut", 1, strides)
            shortcut = layers.BatchNormalization(name=f"{name}_shortcut_norm")(shortcut)
        x = conv(x, count, f"{name}_conv_1", strides=strides)
        x = layers.BatchNormalization(name=f"{name}_norm_1")(x)
        x = layers.ReLU(name=f"{name}_relu_1")(x)
        x = conv(x, count, f"{name}_conv_2")
        x = layers.BatchNormalization(name=f"{name}_norm_2")(x)
        x = layers.Add(name=f"{name}_add")([x, shortcut])
        return layers.ReLU(name=f"{name}_relu_2")(x)

    x = image = Input(input_shape, name="image")
    if len(image.shape) == 3:
        x = layers.Reshape((*image.shape[1:], 1))(x)
    x = conv(x, filters, "stem_conv")
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.ReLU(name="stem_relu")(x)
    for stage in range(3):
        for number in range((depth - 2) // 6):
            strides = 2 if stage > 0 and number == 0 else 1
            x = block(x, filters * 2**stage, strides, f"stage_{stage + 1}_block_{number + 1}")
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(num_classes, activation=output_activation, name="predictions")(x)
    return Model(image, outputs, name=f"resnet_{depth}")
