"""Cases of the layers that move pixels at random: TensorFlow's side draws from the tape."""

from tests.conformance.engine import Case

IMAGE = ((7, 6, 3),)
FLOAT32 = "TensorFlow's kernel of warped images computes in float32"


def case(layer, name, *arguments, inputs=IMAGE, tolerance=1e-10, batch=4, **options):
    return Case(f"{layer} {name}", lambda layers: getattr(layers, layer)(*arguments, **options), inputs, certified=True,
                tolerance=tolerance, reason=FLOAT32 if tolerance > 1e-10 else "", batch=batch)


def warped(layer, name, *arguments, **options):
    return case(layer, name, *arguments, tolerance=1e-5, **options)


def fills(layer, **options):
    """Every fill mode with both interpolations."""
    return tuple(
        warped(layer, f"{fill_mode}, {interpolation}", fill_mode=fill_mode, interpolation=interpolation, **options)
        for fill_mode in ("reflect", "wrap", "constant", "nearest") for interpolation in ("nearest", "bilinear"))


CASES = (
    case("RandomFlip", "both ways"),
    case("RandomFlip", "horizontal", "horizontal", seed=3),
    case("RandomFlip", "vertical", mode="vertical", batch=9),
    *(case("RandomFlip", f"{mode} of a batch of {batch}", mode, inputs=((4, 7, 1),), batch=batch)
      for mode in ("horizontal", "horizontal_and_vertical") for batch in (1, 12)),
    case("RandomFlip", "channels first", inputs=((3, 5, 4),), data_format="channels_first"),
    case("RandomCrop", "window", 4, 3),
    case("RandomCrop", "one row less", 6, 5, seed=1),
    case("RandomCrop", "not wider: the middle, resized", 4, 6),
    case("RandomCrop", "larger: resized", 9, 8),
    case("RandomCrop", "square of a wide image", height=3, width=9, inputs=((5, 9, 2),)),
    case("RandomCrop", "of one pixel", height=1, width=1),
    case("RandomCrop", "of a large batch", height=5, width=2, batch=9),
    case("RandomCrop", "channels first", 3, 2, inputs=((3, 5, 4),), data_format="channels_first"),
    *fills("RandomTranslation", height_factor=0.4, width_factor=0.3, fill_value=0.7),
    warped("RandomTranslation", "of pairs", (-0.2, 0.5), (0.1, 0.3), batch=7),
    warped("RandomTranslation", "far", 1.0, 1.0, "wrap", fill_value=0.2),
    warped("RandomTranslation", "channels first", 0.4, 0.2, inputs=((3, 6, 5),), data_format="channels_first"),
    *fills("RandomRotation", factor=0.2, fill_value=0.7),
    warped("RandomRotation", "all round", 1.0, "constant", seed=4),
    warped("RandomRotation", "one way", (0.1, 0.3), batch=7),
    warped("RandomRotation", "channels first", 0.1, inputs=((3, 6, 5),), data_format="channels_first"),
    *fills("RandomZoom", height_factor=0.4, width_factor=(-0.3, 0.2), fill_value=0.7),
    warped("RandomZoom", "one number for both", 0.5, batch=7),
    warped("RandomZoom", "in", (-0.5, -0.2), (-0.3, -0.1), "constant"),
    warped("RandomZoom", "channels first", 0.4, inputs=((3, 6, 5),), data_format="channels_first"),
    *fills("RandomShear", x_factor=0.4, y_factor=(0.1, 0.3), fill_value=0.7),
    warped("RandomShear", "along x", 0.5, batch=7),
    warped("RandomShear", "of pairs", (0.1, 0.4), 0.3),
    warped("RandomShear", "channels first", 0.3, 0.1, inputs=((3, 6, 5),), data_format="channels_first"),
    warped("RandomPerspective", "defaults"),
    warped("RandomPerspective", "nearest", interpolation="nearest"),
    warped("RandomPerspective", "seldom", 0.3, 0.5, batch=8),
    warped("RandomPerspective", "often", (0.8, 1.0), 0.2, fill_value=0.7),
    warped("RandomPerspective", "always", (1.0, 1.0), 0.4, "bilinear", 1.5),
    warped("RandomPerspective", "slight", scale=0.05),
    warped("RandomPerspective", "of wide images", scale=0.3, inputs=((4, 9, 2),)),
    warped("RandomPerspective", "channels first", scale=0.3, inputs=((3, 6, 5),), data_format="channels_first"),
    case("RandomErasing", "noise"),
    case("RandomErasing", "seldom", 0.4, batch=8),
    case("RandomErasing", "a value", (1.0, 1.0), (0.2, 0.6), 0.3),
    case("RandomErasing", "a value per channel", (0.9, 1.0), (0.2, 0.6), (0.1, 0.2, 0.3), (0.0, 1.0)),
    case("RandomErasing", "noise in a range", (1.0, 1.0), 0.5, value_range=(-1.0, 1.0)),
    case("RandomErasing", "large", (1.0, 1.0), (0.7, 1.0), value_range=(0, 1)),
    case("RandomErasing", "of wide images", (1.0, 1.0), (0.3, 0.8), inputs=((4, 9, 2),)),
    case("RandomErasing", "channels first", (1.0, 1.0), (0.3, 0.8), inputs=((3, 6, 5),), data_format="channels_first"),
)
