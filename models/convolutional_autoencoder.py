"""A convolutional autoencoder: an image through a narrow code and back (Hinton and Salakhutdinov 2006, with strided
convolutions as in Radford et al. 2015, https://arxiv.org/abs/1511.06434)."""

from harness import Input, Model, layers


def convolutional_autoencoder(input_shape=(28, 28), filters=(32, 64), latent=32, activation="relu",
                              output_activation="sigmoid"):
    """For each of `filters` a convolution that halves the image, a Dense of `latent` values named "code"; back by
    transposed convolutions. Output: of the input's shape, the layer "reconstruction".

    input_shape: (height, width, channels), or (height, width). Sizes that do not halve evenly are rounded up on the
    way down and cropped at the end. output_activation: "sigmoid" for values from 0 to 1 (loss: binary cross-entropy or
    a mean squared error), None for others. The target is the input itself.
    """
    sizes = (filters,) if isinstance(filters, int) else tuple(filters)
    x = image = Input(input_shape, name="image")
    if len(image.shape) == 3:
        x = layers.Reshape((*image.shape[1:], 1), name="channels")(x)
    full = x.shape[1:]
    for number, count in enumerate(sizes, 1):
        x = layers.Conv2D(count, 3, 2, padding="same", activation=activation, name=f"encoder_{number}")(x)
    small = x.shape[1:]
    x = layers.Flatten(name="flat")(x)
    features = x.shape[-1]
    x = layers.Dense(latent, name="code")(x)
    x = layers.Dense(features, activation=activation, name="from_code")(x)
    x = layers.Reshape(small, name="small")(x)
    for number in range(len(sizes), 0, -1):
        x = layers.Conv2DTranspose(sizes[number - 1], 3, 2, padding="same", activation=activation,
                                   name=f"decoder_{number}")(x)
    if x.shape[1:3] != full[:2]:
        x = layers.Cropping2D(((0, x.shape[1] - full[0]), (0, x.shape[2] - full[1])), name="cropped")(x)
    plain = len(image.shape) == 3
    x = layers.Conv2D(full[-1], 3, padding="same", activation=output_activation,
                      name="pixels" if plain else "reconstruction")(x)
    if plain:
        x = layers.Reshape(image.shape[1:], name="reconstruction")(x)
    return Model(image, x, name="convolutional_autoencoder")
