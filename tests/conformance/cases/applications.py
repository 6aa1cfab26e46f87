"""Cases of the layers of keras.applications."""

from tests.conformance.engine import Case

IMAGE, STEPS, VECTOR = ((4, 5, 6),), ((6, 4),), ((7,),)


def scale(name, inputs, *arguments, **options):
    return Case(f"LayerScale {name}", lambda layers: layers.LayerScale(*arguments, **options), inputs)


def depth(name, inputs, rate, certified=True, **options):
    return Case(f"StochasticDepth {name}", lambda layers: layers.StochasticDepth(rate, **options), inputs,
                certified=certified, batch=8)


def added(name, inputs, factor, **options):
    return Case(f"CustomScaleLayer {name}", lambda layers: layers.CustomScaleLayer(scale=factor, **options), inputs)


CASES = (
    scale("of images", IMAGE, 1e-6, 6),
    scale("of steps", STEPS, init_values=0.5, projection_dim=4),
    scale("of vectors", VECTOR, 1.0, 7),
    scale("of one feature", IMAGE, 0.1, 1),
    scale("onto more features", ((3, 1),), 0.1, 5),
    scale("of volumes", ((2, 3, 4, 5),), 0.1, 5),
    scale("frozen", IMAGE, 0.1, 6, trainable=False),
    scale("of nothing", VECTOR, 0.0, 7),

    depth("of images", IMAGE, 0.5),
    depth("of steps", STEPS, 0.2),
    depth("of vectors", VECTOR, 0.9),
    depth("rare", IMAGE, 0.01),
    depth("never", IMAGE, 0.0, certified=False),
    depth("of volumes", ((2, 3, 4, 5),), 0.4),
    depth("frozen", STEPS, 0.3, trainable=False),
    depth("of one number", ((1,),), 0.6),

    added("of images", IMAGE * 2, 0.17),
    added("of steps", STEPS * 2, 0.1),
    added("of vectors", VECTOR * 2, 1.0),
    added("negative", IMAGE * 2, -0.5),
    added("nothing", IMAGE * 2, 0.0),
    added("broadcast", ((4, 5, 6), (1, 1, 6)), 0.2),
    added("broadcast the first", ((1, 1, 6), (4, 5, 6)), 0.2),
    added("of volumes", ((2, 3, 4, 5),) * 2, 3.0),
)
