"""The residual networks of He et al. 2015 (https://arxiv.org/abs/1512.03385): for CIFAR (section 4.2) and for ImageNet
(table 1)."""

from harness import Input, Model, SpecError, layers

# Blocks of the four stages, and whether they are bottlenecks.
IMAGENET = {18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False), 50: ((3, 4, 6, 3), True),
            101: ((3, 4, 23, 3), True), 152: ((3, 8, 36, 3), True)}


def resnet(input_shape=None, num_classes=None, depth=20, filters=None, l2=1e-4, output_activation="softmax",
           form="cifar", variant="v1.5"):
    """form "cifar": three stages of (depth - 2) / 6 residual blocks each, with `filters`, 2 and 4 times as many
    channels; (32, 32, 3) images, 10 classes, 16 filters where nothing else is said. form "imagenet": a 7x7 stem and
    four stages of the depths 18, 34, 50, 101 and 152, with 1, 2, 4 and 8 times `filters`; (224, 224, 3), 1000, 64.

    depth: for CIFAR 20, 32, 44, 56 and 110 in the paper; 8 is the smallest. Where the shape changes the shortcut is a
    1x1 convolution (for CIFAR the paper pads with zeros). input_shape: (height, width, channels), or (height, width)
    without a channel axis. variant, for ImageNet: "v1.5" halves the image in a bottleneck's 3x3 convolution, as
    torchvision, timm and MLPerf do (25.6 million parameters at depth 50); "v1" in its first 1x1, as in the paper, with
    biases and epsilon as in keras.applications. l2: factor of the kernels' penalty. output_activation: "softmax" gives
    probabilities, None logits.
    """
    kernels = {"kernel_initializer": "he_normal", "kernel_regularizer": {"L2": {"l2": l2}} if l2 else None}
    if form == "cifar":
        x = image = _image(input_shape or (32, 32, 3))
        x = _cifar(_channels(x), depth, filters or 16, kernels)
    elif form == "imagenet":
        x = image = _image(input_shape or (224, 224, 3))
        x = _imagenet(_channels(x), depth, filters or 64, kernels, variant)
    else:
        raise SpecError(f'form must be "cifar" or "imagenet", got {form!r}.')
    classes = num_classes or (10 if form == "cifar" else 1000)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(classes, activation=output_activation, name="predictions")(x)
    return Model(image, outputs, name=f"resnet_{depth}")


def _image(shape):
    return Input(shape, name="image")


def _channels(x):
    """The image with an axis of channels."""
    return layers.Reshape((*x.shape[1:], 1))(x) if len(x.shape) == 3 else x


def _cifar(x, depth, filters, kernels):
    if not isinstance(depth, int) or depth < 8 or (depth - 2) % 6:
        raise SpecError(f"depth must be 6 n + 2 (8, 14, 20, 32, 44, 56, 110), got {depth!r}.")

    def conv(x, count, name, kernel_size=3, strides=1):
        return layers.Conv2D(count, kernel_size, strides, padding="same", use_bias=False, name=name, **kernels)(x)

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

    x = conv(x, filters, "stem_conv")
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.ReLU(name="stem_relu")(x)
    for stage in range(3):
        for number in range((depth - 2) // 6):
            strides = 2 if stage > 0 and number == 0 else 1
            x = block(x, filters * 2**stage, strides, f"stage_{stage + 1}_block_{number + 1}")
    return x


def _imagenet(x, depth, filters, kernels, variant):
    if depth not in IMAGENET:
        raise SpecError(f'depth must be {", ".join(map(str, IMAGENET))} for form="imagenet", got {depth!r}.')
    if variant not in ("v1", "v1.5"):
        raise SpecError(f'variant must be "v1" or "v1.5", got {variant!r}.')
    blocks, bottlenecks = IMAGENET[depth]
    first = variant == "v1"
    norms = {"epsilon": 1.001e-5} if first else {"epsilon": 1e-5, "momentum": 0.9}

    def conv(x, count, size, strides, name, relu=True):
        # Padded by itself: "same" would put the odd row and column of a halved image at the other end.
        if size > 1 and strides > 1:
            x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        x = layers.Conv2D(count, size, strides, padding="valid" if size > 1 and strides > 1 else "same",
                          use_bias=first, name=f"{name}_conv", **kernels)(x)
        x = layers.BatchNormalization(name=f"{name}_norm", **norms)(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x

    def block(x, count, strides, name):
        shortcut, wide = x, 4 * count if bottlenecks else count
        if strides != 1 or x.shape[-1] != wide:
            shortcut = conv(x, wide, 1, strides, f"{name}_shortcut", relu=False)
        if bottlenecks:
            x = conv(x, count, 1, strides if first else 1, f"{name}_1")
            x = conv(x, count, 3, 1 if first else strides, f"{name}_2")
            x = conv(x, wide, 1, 1, f"{name}_3", relu=False)
        else:
            x = conv(x, count, 3, strides, f"{name}_1")
            x = conv(x, count, 3, 1, f"{name}_2", relu=False)
        return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, shortcut]))

    x = conv(x, filters, 7, 2, "stem")
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    for stage, count in enumerate(blocks):
        for number in range(count):
            strides = 2 if stage > 0 and number == 0 else 1
            x = block(x, filters * 2**stage, strides, f"stage_{stage + 1}_block_{number + 1}")
    return x
