"""The U-Net for segmentation (Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597)."""

from harness import Input, Model, SpecError, layers


def unet(input_shape=(128, 128, 3), num_classes=2, filters=16, depth=4, batch_normalization=True, dropout=0.0,
         output_activation="softmax"):
    """`depth` times two 3x3 convolutions and a pooling that halves the image, two convolutions more, and the way back:
    a transposed convolution, the features of the same size beside it, two convolutions; one class per pixel.

    Output: (height, width, num_classes). filters: of the first level, doubled at each; the paper's network has 64 and
    depth 4 without normalization (31.0 million parameters). Unlike there the convolutions keep the image's size
    ("same"), so that the mask has it too. input_shape: (height, width, channels), or (height, width); sizes divisible
    by 2^depth. dropout: behind the lowest level, as in the paper. num_classes=1 with output_activation="sigmoid" is
    one object against its background; None gives logits.
    """
    if num_classes == 1 and output_activation == "softmax":
        raise SpecError("a softmax over one class is always 1.", hint="Write output_activation=sigmoid.")
    x = image = Input(input_shape, name="image")
    if len(image.shape) == 3:
        x = layers.Reshape((*image.shape[1:], 1))(x)
    if any(size % 2**depth for size in x.shape[1:3]):
        raise SpecError(f"images of {x.shape[1]} x {x.shape[2]} cannot be halved {depth} times.",
                        hint="Choose a smaller depth, or crop or resize the images.")

    def convolutions(x, count, name):
        for number in (1, 2):
            x = layers.Conv2D(count, 3, padding="same", use_bias=not batch_normalization,
                              kernel_initializer="he_normal", name=f"{name}_conv_{number}")(x)
            if batch_normalization:
                x = layers.BatchNormalization(name=f"{name}_norm_{number}")(x)
            x = layers.ReLU(name=f"{name}_relu_{number}")(x)
        return x

    kept = []
    for level in range(depth):
        x = convolutions(x, filters * 2**level, f"down_{level + 1}")
        kept.append(x)
        x = layers.MaxPooling2D(2, name=f"down_{level + 1}_pool")(x)
    x = convolutions(x, filters * 2**depth, "bottom")
    if dropout:
        x = layers.Dropout(dropout, name="bottom_dropout")(x)
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(filters * 2**level, 2, 2, name=f"up_{level + 1}_transposed")(x)
        x = layers.Concatenate(name=f"up_{level + 1}_joined")([kept[level], x])
        x = convolutions(x, filters * 2**level, f"up_{level + 1}")
    outputs = layers.Conv2D(num_classes, 1, activation=output_activation, name="predictions")(x)
    return Model(image, outputs, name="unet")
