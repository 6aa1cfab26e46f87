"""Cases of SpectralNormalization."""

from tests.conformance.engine import Case

VECTOR = ((7,),)
STEPS = ((6, 4),)
IMAGE = ((5, 6, 3),)


def case(name, inner, inputs, kinds=(), masked=False, power_iterations=1, **options):
    """inner: makes the layer inside from the namespace of layers."""
    return Case(f"SpectralNormalization {name}",
                lambda layers: layers.SpectralNormalization(inner(layers), power_iterations, **options), inputs,
                kinds=kinds, masked=(masked,))


CASES = (
    case("of Dense", lambda layers: layers.Dense(3), VECTOR),
    case("of Dense with an activation", lambda layers: layers.Dense(9, "tanh"), STEPS),
    case("three iterations", lambda layers: layers.Dense(5), VECTOR, power_iterations=3),
    case("without bias", lambda layers: layers.Dense(5, use_bias=False), VECTOR, power_iterations=2),
    case("one unit", lambda layers: layers.Dense(1), VECTOR),
    case("of EinsumDense", lambda layers: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), STEPS),
    case("of Conv1D", lambda layers: layers.Conv1D(5, 3, padding="same"), STEPS),
    case("of Conv2D", lambda layers: layers.Conv2D(4, (2, 3), activation="relu"), IMAGE, power_iterations=2),
    case("of grouped Conv2D", lambda layers: layers.Conv2D(6, 3, groups=3), IMAGE),
    case("of Conv3D", lambda layers: layers.Conv3D(2, 2), ((3, 3, 4, 2),)),
    case("of Conv2DTranspose", lambda layers: layers.Conv2DTranspose(4, 3, strides=2), IMAGE),
    case("of DepthwiseConv2D", lambda layers: layers.DepthwiseConv2D(3, depth_multiplier=2), IMAGE),
    # Ids as floating-point numbers: Keras gives the output the input's type.
    case("of Embedding", lambda layers: layers.Embedding(9, 4), ((6,),), kinds=("ties",)),
    case("of Embedding with a mask", lambda layers: layers.Embedding(9, 4, mask_zero=True), ((6,),), kinds=("ties",)),
    case("frozen", lambda layers: layers.Dense(3), VECTOR, trainable=False),
    case("frozen inside", lambda layers: layers.Dense(3, trainable=False), VECTOR),
    case("regularized", lambda layers: layers.Dense(3, kernel_regularizer="l2", bias_regularizer="l1"), VECTOR),
    case("masked", lambda layers: layers.Dense(3), STEPS, masked=True),
    case("masked, of Conv1D", lambda layers: layers.Conv1D(3, 1), STEPS, masked=True),
)
