"""Cases of the convolutions."""

from tests.conformance.engine import Case

STEPS = ((11, 4),)
IMAGE = ((8, 7, 4),)


def conv1d(name, *arguments, inputs=STEPS, **options):
    return Case(f"conv1d {name}", lambda layers: layers.Conv1D(*arguments, **options), inputs)


def conv2d(name, *arguments, inputs=IMAGE, **options):
    return Case(f"conv2d {name}", lambda layers: layers.Conv2D(*arguments, **options), inputs)


def depthwise(name, *arguments, inputs=IMAGE, **options):
    return Case(f"depthwise {name}", lambda layers: layers.DepthwiseConv2D(*arguments, **options), inputs)


def separable(name, *arguments, inputs=IMAGE, **options):
    return Case(f"separable {name}", lambda layers: layers.SeparableConv2D(*arguments, **options), inputs)


CASES = (
    conv1d("valid", 5, 3),
    conv1d("same", 5, 3, padding="same", activation="relu"),
    conv1d("same even kernel", 5, 4, padding="same"),
    conv1d("same strided", 5, 3, strides=2, padding="same"),
    conv1d("same strided, even size", 5, 3, strides=2, padding="same", inputs=((10, 4),)),
    conv1d("causal", 5, 3, padding="causal"),
    conv1d("causal dilated", 5, 3, padding="causal", dilation_rate=2),
    conv1d("causal strided", 5, 3, padding="causal", strides=2),
    conv1d("valid dilated", 5, 3, dilation_rate=3),
    conv1d("groups", 6, 3, groups=2, padding="same"),
    conv1d("without bias", 5, 3, use_bias=False, activation="gelu"),
    conv1d("any length", 5, 3, strides=3, padding="same", inputs=((None, 4),)),
    conv1d("regularized", 2, 3, kernel_regularizer="l2", bias_regularizer="l1"),
    Case("conv1d masked", lambda layers: layers.Conv1D(2, 3), STEPS, masked=(True,)),

    conv2d("valid", 5, 3),
    conv2d("same", 5, 3, padding="same", activation="relu"),
    conv2d("same even kernel", 5, (2, 4), padding="same"),
    conv2d("same strided", 5, 3, strides=2, padding="same"),
    conv2d("same strided, stride beyond the kernel", 5, 2, strides=3, padding="same"),
    conv2d("valid strided", 5, 3, strides=(2, 1)),
    conv2d("same strided unevenly", 5, (3, 5), strides=(1, 2), padding="same"),
    conv2d("same dilated", 5, 3, dilation_rate=2, padding="same"),
    conv2d("valid dilated", 5, (2, 3), dilation_rate=(1, 2)),
    conv2d("groups", 6, 3, groups=2, activation="tanh"),
    conv2d("1x1 without bias", 5, 1, use_bias=False),
    conv2d("one channel", 5, 3, padding="same", inputs=((8, 8, 1),)),
    conv2d("7x7 strided", 3, 7, strides=2, padding="same", inputs=((14, 15, 3),)),
    conv2d("any size", 3, 3, strides=2, padding="same", inputs=((None, None, 3),)),
    conv2d("regularized", 2, 3, kernel_regularizer="l2", bias_regularizer="l1"),
    conv2d("softmax", 3, 2, activation="softmax"),
    conv2d("frozen", 3, 2, trainable=False),

    depthwise("valid", 3),
    depthwise("same", 3, padding="same", activation="relu"),
    depthwise("same strided", 3, strides=2, padding="same"),
    depthwise("multiplier", (2, 3), depth_multiplier=3),
    depthwise("dilated", 3, dilation_rate=2, padding="same", use_bias=False),
    depthwise("dilated unevenly", 2, dilation_rate=(1, 2)),
    depthwise("multiplier strided", 3, strides=2, depth_multiplier=2),
    depthwise("one channel", 3, depth_multiplier=2, inputs=((8, 7, 1),)),
    depthwise("regularized", 3, depthwise_regularizer="l2", bias_regularizer="l1"),

    separable("valid", 5, 3),
    separable("same", 5, 3, padding="same", activation="relu"),
    separable("same strided", 5, 3, strides=2, padding="same"),
    separable("multiplier", 5, (2, 3), depth_multiplier=3),
    separable("dilated", 5, 3, dilation_rate=2, padding="same", use_bias=False),
    separable("multiplier strided", 3, 3, strides=2, depth_multiplier=2),
    separable("one channel", 3, 3, depth_multiplier=2, inputs=((8, 7, 1),)),
    separable("regularized", 2, 3, depthwise_regularizer="l2", pointwise_regularizer={"L2": {"l2": 0.3}},
              bias_regularizer="l1"),
)
