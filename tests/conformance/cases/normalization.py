"""Cases of the normalization layers."""

from tests.conformance.engine import Case

VECTOR = ((7,),)
STEPS = ((6, 4),)
IMAGE = ((4, 5, 6),)


def case(name, cls, inputs, *arguments, masked=False, batch=4, **options):
    return Case(f"{cls} {name}", lambda layers: getattr(layers, cls)(*arguments, **options), inputs,
                masked=(masked,), batch=batch)


def batch_norm(name, inputs, *arguments, **options):
    return case(name, "BatchNormalization", inputs, *arguments, **options)


def layer_norm(name, inputs, *arguments, **options):
    return case(name, "LayerNormalization", inputs, *arguments, **options)


CASES = (
    batch_norm("of vectors", VECTOR),
    batch_norm("of steps", STEPS),
    batch_norm("of images", IMAGE),
    batch_norm("momentum and epsilon", IMAGE, momentum=0.6, epsilon=0.1),
    batch_norm("without center", IMAGE, center=False),
    batch_norm("without scale", STEPS, scale=False),
    batch_norm("bare", VECTOR, center=False, scale=False),
    batch_norm("of rows", IMAGE, axis=1),
    batch_norm("of steps' features along axis 1", STEPS, axis=1),
    batch_norm("of columns", IMAGE, axis=-2),
    batch_norm("one value per channel", VECTOR, batch=1),
    batch_norm("frozen", IMAGE, trainable=False),
    batch_norm("masked", STEPS, masked=True),
    batch_norm("masked bare", STEPS, masked=True, center=False, scale=False, momentum=0.9),
    batch_norm("masked frozen", STEPS, masked=True, trainable=False),
    batch_norm("regularized", VECTOR, beta_regularizer="l1", gamma_regularizer="l2"),
    batch_norm("of volumes", ((2, 3, 2, 4),)),
    batch_norm("of one channel", ((5, 1),)),
    batch_norm("masked along axis 1", STEPS, masked=True, axis=1),
    batch_norm("synchronized", STEPS, synchronized=True),
    batch_norm("in Keras's order", STEPS, -1, 0.9, 0.01, True, True, "zeros", "ones", "zeros", "ones", "l1", "l2",
               "non_neg", "max_norm", True, {"rmax": 1.5}, 0.8, False),
    batch_norm("renorm", VECTOR, renorm=True),
    batch_norm("renorm of images", IMAGE, renorm=True, renorm_momentum=0.7, momentum=0.6, epsilon=0.01),
    batch_norm("renorm clipped", STEPS, renorm=True, renorm_clipping={"rmin": 0.8, "rmax": 1.3, "dmax": 0.7}),
    batch_norm("renorm clipped from above", STEPS, renorm=True, renorm_clipping={"rmax": 0.7}, center=False),
    batch_norm("renorm bare along axis 1", IMAGE, 1, renorm=True, scale=False, center=False),
    batch_norm("renorm with a large epsilon", VECTOR, renorm=True, epsilon=2.1),
    batch_norm("renorm masked", STEPS, masked=True, renorm=True, renorm_clipping={"dmax": 0.3}),
    batch_norm("renorm frozen", STEPS, renorm=True, trainable=False),

    layer_norm("of vectors", VECTOR),
    layer_norm("of steps", STEPS),
    layer_norm("of images", IMAGE, epsilon=0.1),
    layer_norm("without center", STEPS, center=False),
    layer_norm("without scale", STEPS, scale=False),
    layer_norm("bare", VECTOR, center=False, scale=False),
    layer_norm("along axis 1", IMAGE, axis=1),
    layer_norm("along the last two", IMAGE, axis=[-1, -2]),
    layer_norm("along all", IMAGE, axis=(1, 2, 3)),
    layer_norm("along the outer two", IMAGE, axis=[3, 1]),
    layer_norm("along axes of mixed sign", ((4, 6, 6),), axis=[1, -1]),
    layer_norm("rms_scaling", STEPS, rms_scaling=True),
    layer_norm("rms_scaling bare", IMAGE, axis=[1, 2], rms_scaling=True, scale=False, center=False),
    layer_norm("masked", STEPS, masked=True),
    layer_norm("of rows", IMAGE, axis=-3),
    layer_norm("regularized", VECTOR, beta_regularizer="l1", gamma_regularizer="l2"),

    case("of images", "GroupNormalization", IMAGE, groups=3),
    case("each channel", "GroupNormalization", IMAGE, groups=-1, center=False),
    case("one group", "GroupNormalization", IMAGE, 1, scale=False),
    case("of steps", "GroupNormalization", STEPS, 2, epsilon=0.1),
    case("of vectors", "GroupNormalization", ((8,),), 2),
    case("along axis 1", "GroupNormalization", IMAGE, 2, axis=1),
    case("masked", "GroupNormalization", STEPS, 2, masked=True),
    case("along axis -2", "GroupNormalization", IMAGE, 5, axis=-2),
    case("of volumes", "GroupNormalization", ((2, 3, 2, 4),), 2),
    case("regularized", "GroupNormalization", STEPS, 4, beta_regularizer="l1", gamma_regularizer="l2"),

    case("of vectors", "RMSNormalization", VECTOR),
    case("of images", "RMSNormalization", IMAGE, epsilon=0.1),
    case("along two axes", "RMSNormalization", IMAGE, axis=[-1, -2]),
    case("along all", "RMSNormalization", IMAGE, axis=[1, 3, 2]),
    case("of steps", "RMSNormalization", STEPS, -1, 1e-3),
    case("along axis 1 and 2 of 3", "RMSNormalization", STEPS, axis=(1, 2), epsilon=0.3),
    case("along axis 2", "RMSNormalization", STEPS, axis=2),
    case("masked", "RMSNormalization", STEPS, epsilon=0.01, masked=True),

    case("of vectors", "UnitNormalization", VECTOR),
    case("of images", "UnitNormalization", IMAGE),
    case("along axis 1", "UnitNormalization", IMAGE, axis=1),
    case("along two axes", "UnitNormalization", IMAGE, axis=[1, -1]),
    case("of steps", "UnitNormalization", STEPS, 2),
    case("along all of volumes", "UnitNormalization", ((2, 3, 2, 4),), axis=[-4, -1, 2, 3]),
    case("masked", "UnitNormalization", STEPS, masked=True),
    Case("UnitNormalization of zeros", lambda layers: layers.UnitNormalization(), STEPS, kinds=("padded",)),
    case("along all", "UnitNormalization", IMAGE, axis=(3, 2, 1)),
)
