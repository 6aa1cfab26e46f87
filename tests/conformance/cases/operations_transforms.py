"""Cases of transforms and images."""

from tests.conformance.operations_engine import IMAGE, TWO, listed, of, varied
from tests.conformance.operations_engine import OperationCase as Case

FLOAT32 = "TensorFlow's resize kernel computes in float32 whatever the data's type"

CASES = (
    *(Case(name, listed(name), TWO) for name in ("fft", "fft2", "ifft2")),
    *varied("rfft", {}, {"fft_length": 7}, {"fft_length": 10}),
    *(Case(f"irfft {length}", listed("irfft", fft_length=length), ((4, 5), (4, 5))) for length in (None, 8, 11)),
    *varied("extract_sequences", {"sequence_length": 3, "sequence_stride": 2}, {"sequence_length": 2,
        "sequence_stride": 1}, {"sequence_length": 6, "sequence_stride": 3}),
    *varied("image.resize", {"size": (4, 8), "interpolation": "nearest"}, {"size": (12, 10),
        "interpolation": "nearest"}, inputs=IMAGE),
    *varied("image.resize", {"size": (4, 8)}, {"size": (12, 10)}, {"size": (6, 9)}, {"size": (4, 8),
        "interpolation": "bicubic"}, {"size": (12, 10), "interpolation": "bicubic"},
            {"size": (9, 7), "interpolation": "bicubic"}, inputs=IMAGE, tolerance=5e-6, reason=FLOAT32),
    *varied("image.pad_images", {"top_padding": 1, "left_padding": 2, "bottom_padding": 0, "right_padding": 3},
        {"top_padding": 1, "target_height": 9, "left_padding": 2, "target_width": 9},
            {"bottom_padding": 1, "target_height": 9, "right_padding": 2, "target_width": 9}, {"top_padding": 0,
                "bottom_padding": 0, "left_padding": 1, "right_padding": 1},
            {"top_padding": 2, "target_height": 8, "left_padding": 0, "right_padding": 0}, {"target_height": 7,
                "bottom_padding": 0, "left_padding": 4, "target_width": 9},
            {"top_padding": 3, "left_padding": 3, "bottom_padding": 3, "right_padding": 3}, {"top_padding": 0,
                "target_height": 6, "left_padding": 0, "target_width": 5}, inputs=IMAGE),
    *varied("image.crop_images", {"top_cropping": 1, "left_cropping": 2, "bottom_cropping": 0, "right_cropping": 1},
        {"top_cropping": 1, "target_height": 3, "left_cropping": 2, "target_width": 2},
            {"bottom_cropping": 1, "target_height": 3, "right_cropping": 2, "target_width": 2}, {"top_cropping": 0,
                "bottom_cropping": 0, "left_cropping": 1, "right_cropping": 1},
            {"top_cropping": 2, "target_height": 4, "left_cropping": 0, "right_cropping": 0}, {"target_height": 5,
                "bottom_cropping": 0, "left_cropping": 1, "target_width": 3},
            {"top_cropping": 2, "left_cropping": 1, "bottom_cropping": 3, "right_cropping": 1}, {"top_cropping": 0,
                "target_height": 6, "left_cropping": 0, "target_width": 5}, inputs=IMAGE),
    *varied("image.extract_patches", {"size": 2}, {"size": (3, 2), "strides": 1}, {"size": (2, 3), "strides": (2, 1),
        "padding": "same"}, {"size": 2, "dilation_rate": 2, "strides": 1}, {"size": 3},
            {"size": (1, 2), "strides": 2, "padding": "same"}, {"size": 2, "dilation_rate": (1, 2), "strides": 1,
                "padding": "same"}, {"size": 2, "strides": 1}, inputs=IMAGE),
    Case("image.rgb_to_grayscale", of("image.rgb_to_grayscale"), IMAGE), Case("image.rgb_to_grayscale of pixels",
        of("image.rgb_to_grayscale"), IMAGE, ("pixels",)),
    Case("image.sobel_edges", of("image.sobel_edges"), IMAGE),
)
