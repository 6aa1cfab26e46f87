"""What `keras.backend.image` offers to image layers, in float64 where TensorFlow's kernels know float32 alone.

The resizing kernels of TensorFlow compute in float32 whatever the images' type (semantics ledger, section 16): a
matrix per axis does in float64 what they do.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import image as stock
from keras.src.utils.backend_utils import DynamicBackend

from harness.backends.tensorflow.layers.stock import arguments
from harness.plan import interpolation as matrices
from harness.spec.layers import preprocessing_images as spec
from harness.spec.layers.base import Layer


class Kernels:
    """Keras's image functions; those that are named here replace Keras's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(stock, name)

    def resize(
        self, images: tf.Tensor, size: tuple[int, int], interpolation: str = "bilinear", antialias: bool = False,
        data_format: str | None = None, **options: Any,
    ) -> tf.Tensor:
        """`keras.ops.image.resize`, exact for float64 images of known size."""
        first = data_format == "channels_first"
        height, width = images.shape[2:4] if first else images.shape[1:3]
        if images.dtype != tf.float64 or height is None or width is None:
            def stock_resize() -> tf.Tensor:
                return tf.cast(stock.resize(images, size, interpolation=interpolation, antialias=antialias,
                                            data_format=data_format, **options), images.dtype)

            if images.dtype != tf.float64:
                return stock_resize()
            # RandomCrop resizes what it has cut, which as a rule has the wanted size already.
            sizes = tf.shape(images)[2:4] if first else tf.shape(images)[1:3]
            resized = tf.cond(tf.reduce_all(sizes == tf.constant(size)), lambda: images, stock_resize)
            return tf.ensure_shape(resized, (None, None, *size) if first else (None, *size, None))
        images = tf.transpose(images, (0, 2, 3, 1)) if first else images
        images = _fitted(images, size, options)
        resized = exact_resize(images, size, interpolation, antialias)
        return tf.transpose(resized, (0, 3, 1, 2)) if first else resized

    def perspective_transform(
        self, images: tf.Tensor, start_points: tf.Tensor, end_points: tf.Tensor, interpolation: str = "bilinear",
        fill_value: float = 0.0, data_format: str | None = None,
    ) -> tf.Tensor:
        """`keras.ops.image.perspective_transform`, its eight numbers solved for in float64 and rounded once."""
        transform = stock.compute_homography_matrix(tf.cast(start_points, tf.float64), tf.cast(end_points, tf.float64))
        return stock.affine_transform(images, tf.cast(transform, tf.float32), interpolation=interpolation,
                                      fill_mode="constant", fill_value=fill_value, data_format=data_format)


def exact_resize(images: tf.Tensor, size: tuple[int, int], method: str, antialias: bool) -> tf.Tensor:
    """[N, H, W, C] float64 -> [N, *size, C]."""
    rows, columns = (
        tf.constant(matrices.resize_matrix(method, old, new, antialias), images.dtype)
        for old, new in zip(images.shape[1:3], size, strict=True)
    )
    return tf.einsum("ih,nhwc,jw->nijc", rows, images, columns)


def _fitted(images: tf.Tensor, size: tuple[int, int], options: dict[str, Any]) -> tf.Tensor:
    """The images cropped or padded to the aspect ratio of `size`, where the options ask for it."""
    height, width = images.shape[1:3]
    if options.get("crop_to_aspect_ratio"):
        top, left, height, width = matrices.crop_box(height, width, size)
        return images[:, top : top + height, left : left + width]
    if options.get("pad_to_aspect_ratio"):
        top, left = matrices.pad_margins(height, width, size)
        return tf.pad(images, ((0, 0), (top, top), (left, left), (0, 0)), constant_values=options["fill_value"])
    return images


class ExactBackend(DynamicBackend):
    """Keras's backend as an image layer sees it, with these kernels."""

    def __init__(self) -> None:
        super().__init__("tensorflow")
        self.image = Kernels()


def exact_image_layer(layer: Layer, **common: Any) -> keras.layers.Layer:
    """Keras's layer, resizing in float64."""
    built = getattr(keras.layers, type(layer).__name__)(**arguments(layer), **common)
    built.backend = ExactBackend()
    return built


EXACT = dict.fromkeys(spec.LAYERS, exact_image_layer)
