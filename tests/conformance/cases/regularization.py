"""Cases of dropout and noise: TensorFlow's side is the layer that draws from the tape, as in certified training."""

from tests.conformance.engine import Case


def keyed(name, layer, *inputs, **more):
    return Case(name, layer, inputs, certified=True, **more)


CASES = (
    keyed("dropout", lambda layers: layers.Dropout(0.5), (7,)),
    keyed("dropout 0.2 of images", lambda layers: layers.Dropout(0.2), (4, 5, 3)),
    keyed("dropout 0", lambda layers: layers.Dropout(0.0), (7,)),
    keyed("dropout 1", lambda layers: layers.Dropout(1.0), (7,)),
    keyed("dropout noise_shape", lambda layers: layers.Dropout(0.4, noise_shape=(None, 1, None)), (6, 4)),
    keyed("dropout masked", lambda layers: layers.Dropout(0.3), (6, 4), masked=(True,)),
    keyed("spatial 1d", lambda layers: layers.SpatialDropout1D(0.5), (6, 4)),
    keyed("spatial 1d 0.1", lambda layers: layers.SpatialDropout1D(0.1), (6, 40)),
    keyed("spatial 1d masked", lambda layers: layers.SpatialDropout1D(0.3), (6, 4), masked=(True,)),
    keyed("spatial 1d 0", lambda layers: layers.SpatialDropout1D(0.0), (6, 4)),
    keyed("spatial 2d", lambda layers: layers.SpatialDropout2D(0.5), (4, 5, 3)),
    keyed("spatial 2d 0.1", lambda layers: layers.SpatialDropout2D(0.1), (2, 2, 30)),
    keyed("spatial 2d 0.9", lambda layers: layers.SpatialDropout2D(0.9), (3, 2, 30)),
    keyed("spatial 2d 0", lambda layers: layers.SpatialDropout2D(0.0), (3, 2, 3)),
    keyed("noise", lambda layers: layers.GaussianNoise(0.5), (7,)),
    keyed("noise of images", lambda layers: layers.GaussianNoise(0.1), (4, 5, 3)),
    keyed("noise 0", lambda layers: layers.GaussianNoise(0.0), (7,)),
    keyed("noise masked", lambda layers: layers.GaussianNoise(1.0), (6, 4), masked=(True,)),
    keyed("spatial 3d", lambda layers: layers.SpatialDropout3D(0.5), (3, 4, 2, 3)),
    keyed("spatial 3d 0.1", lambda layers: layers.SpatialDropout3D(0.1), (2, 2, 1, 30)),
    keyed("spatial 3d 0.9", lambda layers: layers.SpatialDropout3D(0.9), (2, 1, 2, 30)),
    keyed("spatial 3d 0", lambda layers: layers.SpatialDropout3D(0.0), (3, 2, 2, 3)),
    keyed("gaussian dropout", lambda layers: layers.GaussianDropout(0.5), (7,)),
    keyed("gaussian dropout of images", lambda layers: layers.GaussianDropout(0.1), (4, 5, 3)),
    keyed("gaussian dropout 0", lambda layers: layers.GaussianDropout(0.0), (7,)),
    keyed("gaussian dropout masked", lambda layers: layers.GaussianDropout(0.3), (6, 4), masked=(True,)),
    keyed("alpha dropout", lambda layers: layers.AlphaDropout(0.5), (7,)),
    keyed("alpha dropout of images", lambda layers: layers.AlphaDropout(0.1), (4, 5, 3)),
    keyed("alpha dropout 0", lambda layers: layers.AlphaDropout(0.0), (7,)),
    keyed("alpha dropout noise_shape", lambda layers: layers.AlphaDropout(0.4, noise_shape=(None, 1, None)), (6, 4)),
    keyed("alpha dropout masked", lambda layers: layers.AlphaDropout(0.3), (6, 4), masked=(True,)),
)
