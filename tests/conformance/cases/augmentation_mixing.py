"""Cases of the layers that mix images or chain augmentations: TensorFlow's side draws from the tape."""

from tests.conformance.engine import Case

IMAGE = ((7, 6, 3),)
FLOAT32 = "TensorFlow's kernel of warped images computes in float32"
CLAHE = "Keras computes in float32"
RANGE = (-9.0, 9.0)


def case(layer, name, *arguments, inputs=IMAGE, kinds=(), reason="", batch=4, **options):
    return Case(f"{layer} {name}", lambda layers: getattr(layers, layer)(*arguments, **options), inputs, kinds=kinds,
                tolerance=1e-5 if reason else 1e-10, reason=reason, certified=True, batch=batch)


def augmented(name, *arguments, **options):
    return case("RandAugment", name, *arguments, reason=FLOAT32, **options)


def equalized(name, *arguments, **options):
    return case("ContrastLimitedAdaptiveHistogramEqualization", name, *arguments, reason=CLAHE, **options)


CASES = (
    case("MixUp", "defaults"),
    case("MixUp", "of a small alpha", 0.01),
    case("MixUp", "of alpha 1", 1.0, batch=9),
    case("MixUp", "of a large alpha", alpha=20.0, seed=1),
    case("MixUp", "of an alpha between", alpha=0.5, inputs=((2, 3, 1),)),
    case("MixUp", "of two images", batch=2),
    case("MixUp", "of one image", batch=1),
    case("MixUp", "channels first", inputs=((3, 6, 5),), data_format="channels_first"),
    case("CutMix", "defaults"),
    case("CutMix", "of a small factor", 0.1),
    case("CutMix", "of a pair", (0.4, 0.8), batch=9),
    case("CutMix", "of factor 1", (1.0, 1.0), seed=1),
    case("CutMix", "of wide images", inputs=((4, 9, 2),)),
    case("CutMix", "of two images", factor=0.9, batch=2),
    case("CutMix", "of one image", batch=1),
    case("CutMix", "channels first", inputs=((3, 6, 5),), data_format="channels_first"),
    *(augmented(f"{count} operations", RANGE, count) for count in (1, 3, 5)),
    augmented("defaults", kinds=("pixels",)),
    augmented("weak", RANGE, factor=0.1),
    augmented("strong", RANGE, 4, (0.6, 0.9)),
    augmented("nearest", RANGE, 4, interpolation="nearest"),
    augmented("of one channel", RANGE, inputs=((5, 4, 1),)),
    augmented("of a larger batch", RANGE, 3, batch=9, seed=1),
    equalized("defaults"),
    equalized("in a range", RANGE, tile_grid_size=(2, 3)),
    equalized("of a tight limit", RANGE, 1.0, (2, 2)),
    equalized("without a limit", RANGE, 0.0, (3, 2)),
    equalized("of one tile", RANGE, tile_grid_size=(1, 1)),
    equalized("of large images", RANGE, 2.0, (4, 4), inputs=((21, 18, 1),)),
    equalized("of values beyond the range", (-1.0, 1.0), tile_grid_size=(2, 2)),
    equalized("channels first", RANGE, tile_grid_size=(2, 2), inputs=((3, 6, 5),), data_format="channels_first"),
)
