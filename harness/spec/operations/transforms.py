"""Fourier transforms and windows over sequences (keras/src/ops/math.py), and images (keras/src/ops/image.py)."""

from __future__ import annotations

from harness.spec.operations import dtypes, image_shapes, neural_shapes
from harness.spec.operations.base import declare

RESIZE = ("(images: T, size, interpolation='bilinear', antialias=False, crop_to_aspect_ratio=False, "
          "pad_to_aspect_ratio=False, fill_mode='constant', fill_value=0.0, data_format=None)")
PAD = ("(images: T, top_padding=None, left_padding=None, bottom_padding=None, right_padding=None, "
       "target_height=None, target_width=None, data_format=None)")
PATCHES = "(images: T, size, strides=None, dilation_rate=1, padding='valid', data_format=None)"

OPERATIONS = (
    *declare("math", "(x: L)", neural_shapes.both_parts, dtypes.first, "fft=FFT fft2=FFT2 ifft2=IFFT2"),
    *declare("math", "(x: T, fft_length=None)", neural_shapes.real_transform, dtypes.first, "rfft=RFFT"),
    *declare("math", "(x: L, fft_length=None)", neural_shapes.inverse_real_transform, dtypes.first, "irfft=IRFFT"),
    *declare("math", "(x: T, sequence_length, sequence_stride)", neural_shapes.sequences, dtypes.first,
             "extract_sequences"),
    *declare("image", RESIZE, image_shapes.resized, dtypes.first, "image.resize"),
    *declare("image", PAD, image_shapes.padded_images, dtypes.first, "image.pad_images"),
    *declare("image", PAD.replace("padding", "cropping"), image_shapes.cropped_images, dtypes.first,
             "image.crop_images"),
    *declare("image", PATCHES, image_shapes.patches, dtypes.first, "image.extract_patches"),
    *declare("image", "(images: T, data_format=None)", image_shapes.grayscale, dtypes.first,
             "image.rgb_to_grayscale=RGBToGrayscale"),
    *declare("image", "(images: T, data_format=None)", image_shapes.edges, dtypes.first, "image.sobel_edges"),
)
ALIASES: dict[str, str] = {}
