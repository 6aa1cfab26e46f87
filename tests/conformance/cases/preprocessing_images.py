"""Cases of the layers that bring images to a size; TensorFlow's side resizes in float64."""

from tests.conformance.engine import Case

IMAGE = ((7, 6, 3),)
METHODS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "area")


def case(layer, name, *arguments, inputs=IMAGE, **options):
    return Case(f"{layer} {name}", lambda layers: getattr(layers, layer)(*arguments, **options), inputs, certified=True)


CASES = (
    *(case("Resizing", f"{method} {height}x{width}", height, width, method)
      for method in METHODS for height, width in ((4, 9), (14, 3))),
    *(case("Resizing", f"{method} with antialias", 3, 11, interpolation=method, antialias=True) for method in METHODS),
    case("Resizing", "the same size", 7, 6, "bicubic"),
    case("Resizing", "to a pixel", 1, 1, "lanczos3"),
    case("Resizing", "cropped", 4, 9, crop_to_aspect_ratio=True),
    case("Resizing", "cropped, bicubic", 9, 4, "bicubic", True),
    case("Resizing", "padded", 4, 9, pad_to_aspect_ratio=True),
    case("Resizing", "padded with a value, nearest", 9, 4, "nearest", pad_to_aspect_ratio=True, fill_value=0.7),
    case("Resizing", "padded by an odd number", 5, 5, "area", pad_to_aspect_ratio=True, fill_value=-1.0),
    case("Resizing", "of open size", 4, 9, "bicubic", inputs=((None, None, 2),)),
    case("Resizing", "channels first", 4, 9, "bicubic", inputs=((3, 7, 6),), data_format="channels_first"),
    case("CenterCrop", "even", 3, 2),
    case("CenterCrop", "odd", 4, 3),
    case("CenterCrop", "all", 7, 6),
    case("CenterCrop", "one pixel", height=1, width=1),
    case("CenterCrop", "higher: resized", 9, 4),
    case("CenterCrop", "wider: resized", 5, 10),
    case("CenterCrop", "larger: resized", 10, 12),
    case("CenterCrop", "channels first", 4, 3, inputs=((3, 7, 6),), data_format="channels_first"),
)
