"""Cases of Pipeline, with random numbers from the tape."""

from tests.conformance.engine import Case


def case(name, make, inputs=((5, 6, 3),), tolerance=1e-10, certified=True):
    return Case(f"pipeline {name}", lambda layers: layers.Pipeline(make(layers)), inputs, certified=certified,
                tolerance=tolerance, reason="TensorFlow's kernel of warped images computes in float32"
                if tolerance > 1e-10 else "")


CASES = (
    case("of one layer", lambda layers: [layers.RandomFlip()]),
    case("of two that draw", lambda layers: [layers.RandomFlip(), layers.RandomContrast(0.5, (-2.0, 2.0))]),
    case("of the same twice", lambda layers: [layers.RandomFlip("horizontal"), layers.RandomFlip("horizontal")]),
    case("without random numbers", lambda layers: [layers.Rescaling(2.0, 0.5), layers.CenterCrop(3, 4)]),
    case("of a chain", lambda layers: [layers.Resizing(4, 4), layers.RandomBrightness(0.4, (-2.0, 2.0)),
                                       layers.Rescaling(0.5)]),
    case("of warping", lambda layers: [layers.RandomRotation(0.2), layers.RandomZoom(0.3)], tolerance=1e-5),
    case("of erasing with noise", lambda layers: [layers.RandomErasing((1.0, 1.0)), layers.MixUp()]),
    case("of dropout", lambda layers: [layers.Dropout(0.4), layers.GaussianNoise(0.5)], inputs=((7,),)),
)
