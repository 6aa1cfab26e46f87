"""Cases of the depthwise and separable convolutions."""

from tests.conformance.engine import Case

STEPS = ((11, 4),)
IMAGE = ((8, 7, 4),)
FIRST = {"data_format": "channels_first"}
FIRST_STEPS = ((4, 11),)
FIRST_IMAGE = ((4, 8, 7),)


def depthwise(name, *arguments, inputs=IMAGE, **options):
    return Case(f"depthwise {name}", lambda layers: layers.DepthwiseConv2D(*arguments, **options), inputs)


def separable(name, *arguments, inputs=IMAGE, **options):
    return Case(f"separable {name}", lambda layers: layers.SeparableConv2D(*arguments, **options), inputs)


def depthwise1d(name, *arguments, inputs=STEPS, **options):
    return Case(f"depthwise1d {name}", lambda layers: layers.DepthwiseConv1D(*arguments, **options), inputs)


def separable1d(name, *arguments, inputs=STEPS, **options):
    return Case(f"separable1d {name}", lambda layers: layers.SeparableConv1D(*arguments, **options), inputs)


CASES = (
    depthwise("valid", 3),
    depthwise("same", 3, padding="same", activation="relu"),
    depthwise("same strided", 3, strides=2, padding="same"),
    depthwise("multiplier", (2, 3), depth_multiplier=3),
    depthwise("dilated", 3, dilation_rate=2, padding="same", use_bias=False),
    depthwise("dilated unevenly", 2, dilation_rate=(1, 2)),
    depthwise("multiplier strided", 3, strides=2, depth_multiplier=2),
    depthwise("one channel", 3, depth_multiplier=2, inputs=((8, 7, 1),)),
    depthwise("channels first", 3, strides=2, depth_multiplier=2, inputs=FIRST_IMAGE, **FIRST),
    depthwise("channels first, same", 3, padding="same", activation="softmax", inputs=FIRST_IMAGE, **FIRST),
    depthwise("regularized", 3, depthwise_regularizer="l2", bias_regularizer="l1"),

    separable("valid", 5, 3),
    separable("same", 5, 3, padding="same", activation="relu"),
    separable("same strided", 5, 3, strides=2, padding="same"),
    separable("multiplier", 5, (2, 3), depth_multiplier=3),
    separable("dilated", 5, 3, dilation_rate=2, padding="same", use_bias=False),
    separable("multiplier strided", 3, 3, strides=2, depth_multiplier=2),
    separable("one channel", 3, 3, depth_multiplier=2, inputs=((8, 7, 1),)),
    separable("channels first", 7, 3, strides=2, depth_multiplier=2, inputs=FIRST_IMAGE, **FIRST),
    separable("channels first, same", 7, 3, padding="same", activation="softmax", inputs=FIRST_IMAGE, **FIRST),
    separable("regularized", 2, 3, depthwise_regularizer="l2", pointwise_regularizer={"L2": {"l2": 0.3}},
              bias_regularizer="l1"),

    depthwise1d("valid", 3),
    depthwise1d("same", 3, padding="same", activation="relu"),
    depthwise1d("same even kernel", 4, padding="same"),
    depthwise1d("same strided", 3, strides=2, padding="same"),
    depthwise1d("multiplier", 2, depth_multiplier=3),
    depthwise1d("dilated", 3, dilation_rate=2, padding="same", use_bias=False),
    depthwise1d("multiplier strided", 3, strides=3, depth_multiplier=2),
    depthwise1d("strided and dilated", 3, strides=2, dilation_rate=2),
    depthwise1d("one channel", 3, depth_multiplier=2, inputs=((11, 1),)),
    depthwise1d("any length", 3, strides=2, padding="same", inputs=((None, 4),)),
    depthwise1d("channels first", 3, strides=2, depth_multiplier=2, inputs=FIRST_STEPS, **FIRST),
    depthwise1d("channels first, same", 3, padding="same", activation="softmax", inputs=FIRST_STEPS, **FIRST),
    depthwise1d("regularized", 3, depthwise_regularizer="l2", bias_regularizer="l1"),

    separable1d("valid", 5, 3),
    separable1d("same", 5, 3, padding="same", activation="relu"),
    separable1d("same strided", 5, 3, strides=2, padding="same"),
    separable1d("multiplier", 5, 2, depth_multiplier=3),
    separable1d("dilated", 5, 3, dilation_rate=2, padding="same", use_bias=False),
    separable1d("strided and dilated", 5, 3, strides=2, dilation_rate=2),
    separable1d("one channel", 3, 3, depth_multiplier=2, inputs=((11, 1),)),
    separable1d("any length", 3, 4, strides=2, padding="same", inputs=((None, 4),)),
    separable1d("channels first", 5, 3, strides=2, depth_multiplier=2, inputs=FIRST_STEPS, **FIRST),
    separable1d("channels first, same", 5, 3, padding="same", activation="softmax", inputs=FIRST_STEPS, **FIRST),
    separable1d("regularized", 2, 3, depthwise_regularizer="l2", pointwise_regularizer={"L2": {"l2": 0.3}},
                bias_regularizer="l1"),
)
