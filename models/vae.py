"""A variational autoencoder (Kingma and Welling 2013, https://arxiv.org/abs/1312.6114)."""

import math

from harness import Input, Model, layers, ops


def vae(input_shape=(28, 28), filters=(32, 64), latent=16, beta=1.0, activation="relu", output_activation="sigmoid"):
    """A convolutional encoder of a mean and a log-variance, a sample of that normal distribution, a decoder.

    Output: the image, of the input's shape; the target is the input. The sample is mean + exp(log_variance / 2) * e,
    where e is GaussianNoise(1) on zeros: in training the harness's own random numbers, the same in both frameworks; in
    inference 0, so that the mean is decoded. The divergence from the standard normal is added to the loss by an
    ActivityRegularization, in training and in evaluation: beta * KL / pixels, since a mean loss is one per pixel. With
    loss binary_crossentropy and beta=1 it is the paper's bound, negated and divided by the pixels (beta above 1:
    Higgins et al. 2017). New images are what the layers behind "sample" make of normal noise. input_shape: (height,
    width, channels), or (height, width). Layers: "mean", "log_variance", "divergence" (of an example), "sample",
    "reconstruction".
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
    x = sample(x, latent, beta / math.prod(full))
    x = layers.Dense(features, activation=activation, name="from_sample")(x)
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
    return Model(image, x, name="vae")


def sample(x, latent, weight):
    """Features (batch, features) -> a sample (batch, latent), with `weight` times its divergence added to the loss."""
    mean = layers.Dense(latent, name="mean")(x)
    log_variance = layers.Dense(latent, name="log_variance")(x)
    noise = layers.GaussianNoise(1.0, name="noise")(ops.zeros_like(mean, name="silence"))
    drawn = ops.add(mean, ops.multiply(ops.exp(0.5 * log_variance), noise), name="drawn")
    # KL = sum(mean^2 + variance - 1 - log variance) / 2 of an example: never negative, so that L1 takes it as it is.
    parts = mean * mean + ops.expm1(log_variance) - log_variance
    divergence = ops.multiply(ops.sum(parts, axis=-1, keepdims=True), 0.5, name="divergence")
    divergence = layers.ActivityRegularization(l1=weight, name="divergence_loss")(divergence)
    # A layer must lead to an output to count: the divergence goes along as a column, which is left out again.
    both = layers.Concatenate(name="drawn_and_divergence")([drawn, divergence])
    return layers.Identity(name="sample")(both[:, :latent])
