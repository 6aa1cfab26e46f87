"""Cases of the convolutions."""

from tests.conformance.engine import Case

STEPS = ((11, 4),)
IMAGE = ((8, 7, 4),)
VOLUME = ((5, 6, 4, 2),)
FIRST = {"data_format": "channels_first"}


def conv1d(name, *arguments, inputs=STEPS, **options):
    return Case(f"conv1d {name}", lambda layers: layers.Conv1D(*arguments, **options), inputs)


def conv2d(name, *arguments, inputs=IMAGE, **options):
    return Case(f"conv2d {name}", lambda layers: layers.Conv2D(*arguments, **options), inputs)


def conv3d(name, *arguments, inputs=VOLUME, **options):
    return Case(f"conv3d {name}", lambda layers: layers.Conv3D(*arguments, **options), inputs)


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
    conv1d("channels first", 5, 3, inputs=((4, 11),), padding="causal", activation="softmax", **FIRST),
    conv1d("channels first, any length", 5, 3, strides=2, inputs=((4, None),), **FIRST),
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
    conv2d("channels first", 5, 3, strides=2, padding="same", inputs=((4, 8, 7),), **FIRST),
    # Stock Keras would add this bias along the width.
    conv2d("channels first, as many filters as columns", 7, 3, padding="same", activation="softmax",
           inputs=((4, 8, 7),), kernel_regularizer="l2", **FIRST),
    conv2d("channels first, groups", 6, 3, groups=2, inputs=((4, None, None),), trainable=False, **FIRST),

    conv3d("valid", 4, 2),
    conv3d("same", 4, 3, padding="same", activation="relu"),
    conv3d("same even kernel", 3, (2, 4, 3), padding="same"),
    conv3d("same strided", 3, 3, strides=2, padding="same"),
    conv3d("same strided unevenly", 3, (3, 2, 1), strides=(1, 2, 3), padding="same"),
    # TensorFlow's kernel would take these for a negative padding.
    conv3d("same, stride beyond the kernel", 3, 1, strides=3, padding="same", inputs=((5, 6, 7, 2),)),
    conv3d("same, stride far beyond the kernel", 3, (1, 2, 3), strides=(4, 4, 2), padding="same"),
    conv3d("same, stride beyond the kernel, any size", 3, 2, strides=4, padding="same",
           inputs=((None, 6, None, 2),)),
    conv3d("channels first, stride beyond the kernel", 3, 1, strides=3, padding="same", inputs=((2, 6, 6, 6),),
           activation="relu", **FIRST),
    conv3d("valid strided", 3, 2, strides=(2, 1, 2)),
    conv3d("dilated", 3, 2, dilation_rate=2),
    conv3d("same dilated unevenly", 3, 2, dilation_rate=(1, 2, 3), padding="same"),
    conv3d("groups", 4, 2, groups=2, activation="tanh"),
    conv3d("1x1x1 without bias", 5, 1, use_bias=False),
    conv3d("any size", 3, 3, strides=2, padding="same", inputs=((None, None, 4, 2),)),
    conv3d("regularized", 2, 2, kernel_regularizer="l2", bias_regularizer="l1"),
    conv3d("softmax", 3, 2, activation="softmax"),
    conv3d("frozen", 3, 2, trainable=False),
    conv3d("channels first", 4, 2, strides=2, activation="relu", inputs=((2, 5, 6, 4),), **FIRST),
    conv3d("channels first, dilated", 4, 2, dilation_rate=2, padding="same", inputs=((2, 5, 6, 4),), **FIRST),
    Case("conv2d in float32", lambda layers: layers.Conv2D(3, 2, strides=2, dtype="float32"), IMAGE, tolerance=1e-5,
         reason="a layer whose own dtype is float32"),
)
