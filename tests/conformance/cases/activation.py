"""Cases of the activation layers."""

from tests.conformance.engine import Case

INPUTS = ((6, 7),)


def _both(name, layer) -> tuple[Case, ...]:
    """At random values, and at few values with exact zeros among them, where the gradients' conventions show."""
    return (Case(name, layer, INPUTS), Case(f"{name} at ties", layer, INPUTS, kinds=("ties",)))


CASES = (
    *_both("relu", lambda layers: layers.ReLU()),
    *_both("relu 6", lambda layers: layers.ReLU(6.0)),
    *_both("relu max", lambda layers: layers.ReLU(max_value=1.0)),
    *_both("relu max unrounded", lambda layers: layers.ReLU(max_value=0.7)),
    *_both("relu slope", lambda layers: layers.ReLU(negative_slope=0.1)),
    *_both("relu threshold", lambda layers: layers.ReLU(threshold=1.0)),
    *_both("relu all", lambda layers: layers.ReLU(max_value=2.1, negative_slope=0.1, threshold=0.3)),
    *_both("relu slope and max", lambda layers: layers.ReLU(max_value=1.0, negative_slope=0.3)),
    Case("relu masked", lambda layers: layers.ReLU(), ((6, 4),), masked=(True,)),
    *_both("leaky", lambda layers: layers.LeakyReLU()),
    *_both("leaky 0.1", lambda layers: layers.LeakyReLU(0.1)),
    Case("leaky masked", lambda layers: layers.LeakyReLU(alpha=0.2), ((6, 4),), masked=(True,)),
    *_both("elu", lambda layers: layers.ELU()),
    *_both("elu 0.3", lambda layers: layers.ELU(0.3)),
    Case("elu masked", lambda layers: layers.ELU(2.0), ((6, 4),), masked=(True,)),
    *_both("prelu", lambda layers: layers.PReLU()),
    *_both("prelu shared", lambda layers: layers.PReLU(shared_axes=1, alpha_regularizer="l2")),
    Case("prelu shared over space", lambda layers: layers.PReLU(shared_axes=[1, 2]), ((4, 5, 3),)),
    Case("prelu masked", lambda layers: layers.PReLU(), ((6, 4),), masked=(True,)),
    Case("softmax", lambda layers: layers.Softmax(), INPUTS),
    Case("softmax along axis 1", lambda layers: layers.Softmax(axis=1), INPUTS),
    Case("softmax of two axes", lambda layers: layers.Softmax(axis=(1, 2)), ((3, 4, 2),)),
    Case("softmax of a list of one", lambda layers: layers.Softmax(axis=[-1]), INPUTS),
    Case("softmax with a mask", lambda layers: layers.Softmax(), ((6, 7), (6, 7)), kinds=("normal", "mask")),
    Case("softmax with a broadcast mask", lambda layers: layers.Softmax(), ((6, 7), (1, 7)), kinds=("normal", "mask")),
    Case("softmax of two axes with a mask", lambda layers: layers.Softmax(axis=(1, 2)), ((6, 7), (6, 7)),
         kinds=("normal", "mask")),
    Case("leaky 0", lambda layers: layers.LeakyReLU(0.0), INPUTS, kinds=("ties",)),
    Case("leaky 1.5 of images", lambda layers: layers.LeakyReLU(negative_slope=1.5), ((3, 4, 2),)),
    Case("leaky of any length", lambda layers: layers.LeakyReLU(0.01), ((None, 4),)),
    Case("elu negative", lambda layers: layers.ELU(alpha=-0.5), INPUTS, kinds=("ties",)),
    Case("elu of images", lambda layers: layers.ELU(1.7), ((3, 4, 2),)),
    Case("elu of any length", lambda layers: layers.ELU(0.5), ((None, 4),)),
    Case("prelu frozen", lambda layers: layers.PReLU(trainable=False), INPUTS),
    Case("prelu regularized by l1", lambda layers: layers.PReLU(alpha_regularizer="l1"), ((5,),)),
    Case("prelu of any length", lambda layers: layers.PReLU(shared_axes=(1,)), ((None, 4),)),
    Case("softmax at ties", lambda layers: layers.Softmax(), INPUTS, kinds=("ties",)),
    # Keras takes the mask (batch, steps) for one of the last two axes, and fails where it does not fit them.
    Case("softmax masked", lambda layers: layers.Softmax(axis=-1), ((6, 6),), masked=(True,), batch=6),
    Case("softmax of vectors", lambda layers: layers.Softmax(), ((7,),)),
)
