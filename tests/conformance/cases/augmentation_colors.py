"""Cases of the layers that change the values of pixels: TensorFlow's side draws from the tape."""

from tests.conformance.engine import Case

IMAGE = ((7, 6, 3),)
# The inputs are normal numbers of standard deviation 1.5.
WIDE = (-2.0, 2.5)
FLOAT32 = "Keras changes the range of values in float32"


def case(layer, name, *arguments, inputs=IMAGE, kinds=(), batch=4, reason="", **options):
    return Case(f"{layer} {name}", lambda layers: getattr(layers, layer)(*arguments, **options), inputs, kinds=kinds,
                certified=True, batch=batch, tolerance=1e-5 if reason else 1e-10, reason=reason)


def shapes(layer, **options):
    """What every layer of colors is tried with besides its own arguments."""
    return (
        case(layer, "of one pixel", inputs=((1, 1, 3),), **options),
        case(layer, "of ties", kinds=("ties",), **options),
        case(layer, "of a larger batch", inputs=((3, 8, 3),), batch=9, **options),
    )


def channels_first(layer, **options):
    return case(layer, "channels first", inputs=((3, 7, 6),), data_format="channels_first", **options)


def colors(layer, **options):
    return (*shapes(layer, **options), channels_first(layer, **options))


CASES = (
    case("RandomContrast", "defaults", 0.4),
    case("RandomContrast", "in a range", 0.9, WIDE, seed=1),
    case("RandomContrast", "of a pair", (0.2, 0.7), value_range=(-9.0, 9.0)),
    case("RandomContrast", "of one channel", (0.2, 0.7), (-9.0, 9.0), inputs=((4, 5, 1),)),
    *colors("RandomContrast", factor=0.5, value_range=WIDE),
    case("RandomBrightness", "defaults", 0.4),
    case("RandomBrightness", "in a range", 0.9, WIDE),
    case("RandomBrightness", "of a pair", (-0.2, 0.7), value_range=(-9.0, 9.0)),
    case("RandomBrightness", "of one channel", (0.2, 0.3), (-9.0, 9.0), inputs=((4, 5, 1),)),
    *colors("RandomBrightness", factor=0.5, value_range=WIDE),
    case("RandomHue", "defaults", 0.4, reason=FLOAT32),
    case("RandomHue", "in a range", 0.9, (-6.0, 6.0), reason=FLOAT32),
    case("RandomHue", "of a pair", (0.2, 0.7), value_range=(-9.0, 9.0), reason=FLOAT32),
    case("RandomHue", "beyond the range", (1.0, 1.0), value_range=WIDE, reason=FLOAT32),
    case("RandomHue", "of values from 0 to 1", 0.5, (0.0, 1.0)),
    *colors("RandomHue", factor=0.5, value_range=(-9.0, 9.0), reason=FLOAT32),
    case("RandomSaturation", "defaults", 0.4),
    case("RandomSaturation", "in a range", 0.9, (0.1, 0.9)),
    case("RandomSaturation", "of a pair", (0.2, 0.7), value_range=(0.0, 1.0)),
    case("RandomSaturation", "gray", (0.0, 0.0), value_range=(0.0, 1.0)),
    *colors("RandomSaturation", factor=(0.4, 0.6), value_range=(0.0, 1.0)),
    case("RandomSharpness", "defaults", 0.4),
    case("RandomSharpness", "in a range", 0.9, WIDE),
    case("RandomSharpness", "of a pair", (0.2, 0.7), value_range=(-9.0, 9.0)),
    case("RandomSharpness", "of one channel", (0.9, 1.0), (-9.0, 9.0), inputs=((4, 5, 1),)),
    *colors("RandomSharpness", factor=0.5, value_range=WIDE),
    case("RandomGrayscale", "defaults"),
    case("RandomGrayscale", "seldom", 0.2, batch=8),
    case("RandomGrayscale", "often", 0.9, batch=8),
    case("RandomGrayscale", "of one channel", inputs=((4, 5, 1),)),
    *colors("RandomGrayscale", factor=0.6),
    case("RandomColorDegeneration", "defaults", 0.4),
    case("RandomColorDegeneration", "in a range", 0.9, WIDE),
    case("RandomColorDegeneration", "of a pair", (-0.2, 0.7), value_range=(-9.0, 9.0)),
    case("RandomColorDegeneration", "to gray", (1.0, 1.0), WIDE, seed=5),
    *colors("RandomColorDegeneration", factor=0.5, value_range=WIDE),
    case("RandomInvert", "defaults"),
    case("RandomInvert", "seldom", 0.3, (0, 1), batch=8),
    case("RandomInvert", "often", (0.8, 1.0), WIDE),
    case("RandomInvert", "always", (1.0, 1.0), value_range=(-9.0, 9.0)),
    *colors("RandomInvert", factor=0.8, value_range=WIDE),
    case("RandomPosterization", "of a number", 5, (-9.0, 9.0)),
    case("RandomPosterization", "of one bit", 1, (-9.0, 9.0)),
    case("RandomPosterization", "of a pair", (3, 7), value_range=(-8.0, 12.0)),
    case("RandomPosterization", "of three bits", (3, 3), (-9.0, 9.0), inputs=((4, 5, 1),)),
    *colors("RandomPosterization", factor=(2, 8), value_range=(-9.0, 9.0)),
    case("Solarization", "defaults"),
    case("Solarization", "of a threshold", threshold_factor=0.6, value_range=(-9.0, 9.0)),
    case("Solarization", "of an addition", 0.5, value_range=WIDE),
    case("Solarization", "of pairs", (0.1, 0.3), (0.4, 0.8), (-9.0, 9.0)),
    *colors("Solarization", addition_factor=0.3, threshold_factor=0.9, value_range=WIDE),
    case("Equalization", "defaults"),
    case("Equalization", "in a range", (-9.0, 9.0)),
    case("Equalization", "of few bins", (-9.0, 9.0), 16),
    case("Equalization", "of many bins", value_range=(-9.0, 9.0), bins=300),
    case("Equalization", "of values beyond the range", WIDE, 32),
    *colors("Equalization", value_range=(-9.0, 9.0), bins=64),
    case("AutoContrast", "defaults"),
    case("AutoContrast", "in a range", (-9.0, 9.0)),
    case("AutoContrast", "of one channel", WIDE, inputs=((4, 5, 1),)),
    case("AutoContrast", "of values beyond the range", value_range=(0, 1)),
    *shapes("AutoContrast", value_range=WIDE)[1:],  # one pixel has no contrast: its gradient is no number in either
    case("AutoContrast", "of large images", WIDE, inputs=((16, 12, 2),)),
    case("AutoContrast", "of one image", WIDE, batch=1),
    case("RandomGaussianBlur", "defaults"),
    case("RandomGaussianBlur", "always", (1.0, 1.0), 5, (0.6, 0.9), (-9.0, 9.0)),
    case("RandomGaussianBlur", "of two sizes", 0.9, (3, 5), (0.4, 0.8), (-9.0, 9.0)),
    case("RandomGaussianBlur", "wide", (1.0, 1.0), kernel_size=(7, 3), sigma=(1.0, 1.0), value_range=WIDE),
    case("RandomGaussianBlur", "of one pixel in width", (1.0, 1.0), 1, value_range=(-9.0, 9.0)),
    *colors("RandomGaussianBlur", factor=(0.7, 1.0), sigma=0.8, value_range=(-9.0, 9.0)),
    case("RandomColorJitter", "nothing"),
    case("RandomColorJitter", "everything", (0.0, 1.0), 0.3, 0.4, (0.4, 0.6), 0.5),
    case("RandomColorJitter", "brightness", brightness_factor=0.6, value_range=WIDE),
    case("RandomColorJitter", "contrast and hue", value_range=(-9.0, 9.0), contrast_factor=0.6, hue_factor=0.4,
         reason=FLOAT32),
    case("RandomColorJitter", "saturation", value_range=(0.0, 1.0), saturation_factor=(0.3, 0.6), seed=2),
    *shapes("RandomColorJitter", value_range=(0.0, 1.0), brightness_factor=0.3, contrast_factor=0.5),
)
