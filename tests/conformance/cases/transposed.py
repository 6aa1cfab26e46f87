"""Cases of the transposed convolutions."""

from tests.conformance.engine import Case

FIRST = {"data_format": "channels_first"}
FIRST_INPUTS = {1: ((3, 6),), 2: ((3, 5, 4),), 3: ((2, 3, 4, 3),)}
INPUTS = {1: ((6, 3),), 2: ((5, 4, 3),), 3: ((3, 4, 3, 2),)}


def transposed(rank, name, *arguments, inputs=None, **options):
    return Case(f"transposed{rank}d {name}",
                lambda layers: getattr(layers, f"Conv{rank}DTranspose")(*arguments, **options), inputs or INPUTS[rank])


def each_rank(rank):
    return (
        transposed(rank, "valid", 4, 3),
        transposed(rank, "same", 4, 3, padding="same", activation="relu"),
        transposed(rank, "same even kernel", 4, 4, padding="same"),
        transposed(rank, "k3 s2 same", 4, 3, strides=2, padding="same"),
        transposed(rank, "k4 s2 same", 4, 4, strides=2, padding="same"),
        transposed(rank, "k2 s2", 4, 2, strides=2, activation="tanh"),
        transposed(rank, "k2 s3", 4, 2, strides=3),
        transposed(rank, "k2 s3 same", 4, 2, strides=3, padding="same"),
        transposed(rank, "k1 s3 same", 4, 1, strides=3, padding="same", activation="tanh"),
        transposed(rank, "k1 s4 same output_padding", 4, 1, strides=4, padding="same", output_padding=3,
                   inputs=((*(None,) * rank, 2),)),
        transposed(rank, "k1 s2 same without bias", 4, 1, strides=2, padding="same", use_bias=False),
        transposed(rank, "k3 s2 without bias", 2, 3, strides=2, use_bias=False),
        transposed(rank, "output_padding 0", 2, 3, strides=2, output_padding=0),
        transposed(rank, "output_padding 1", 2, 3, strides=2, output_padding=1),
        transposed(rank, "output_padding 2", 2, 2, strides=3, output_padding=2),
        transposed(rank, "same output_padding 0", 2, 3, strides=2, padding="same", output_padding=0),
        transposed(rank, "same output_padding 1", 2, 3, strides=2, padding="same", output_padding=1),
        transposed(rank, "same even kernel output_padding", 2, 4, strides=3, padding="same", output_padding=1),
        transposed(rank, "any size", 2, 3, strides=2, padding="same", inputs=((*(None,) * rank, 2),)),
        transposed(rank, "regularized", 2, 2, kernel_regularizer="l2", bias_regularizer="l1"),
        transposed(rank, "frozen", 2, 2, trainable=False),
        transposed(rank, "channels first", 4, 3, strides=2, padding="same", activation="softmax",
                   inputs=FIRST_INPUTS[rank], **FIRST),
        transposed(rank, "channels first, output_padding", 4, 3, strides=2, output_padding=1, use_bias=False,
                   inputs=((2, *(None,) * rank),), **FIRST),
    )


CASES = (
    *each_rank(1),
    *each_rank(2),
    *each_rank(3),
    transposed(2, "uneven", 3, (2, 3), strides=(1, 3)),
    transposed(2, "uneven same", 3, (2, 3), strides=(3, 1), padding="same"),
    transposed(2, "uneven output_padding", 3, (3, 2), strides=(2, 3), output_padding=(1, 2)),
    transposed(3, "uneven", 3, (2, 3, 1), strides=(1, 3, 2)),
    transposed(3, "uneven same", 3, (2, 3, 4), strides=(3, 1, 2), padding="same"),
)
