"""Resizing and cropping images in PyTorch, as TensorFlow's kernels do it (plan/interpolation.py is the reference).

Shape suffixes: N batch, H height, W width, C channels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.spec.layers import preprocessing_images as spec
from harness.spec.layers.base import Shape


def _cubic(distance: torch.Tensor) -> torch.Tensor:
    """Keys's cubic convolution kernel with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))


def _kernel(method: str, distance: torch.Tensor) -> torch.Tensor:
    """The weight of a pixel at a distance."""
    if method == "bilinear":
        return (1.0 - distance).clamp_min(0.0)
    if method == "bicubic":
        return _cubic(distance)
    radius = float(method.removeprefix("lanczos"))
    place = distance.clamp_min(1e-3)
    wave = radius * torch.sin(math.pi * place) * torch.sin(math.pi * place / radius) / (math.pi * place) ** 2
    return torch.where(distance > radius, 0.0, torch.where(distance <= 1e-3, 1.0, wave))


def _spans(method: str, size: int, target: int, antialias: bool) -> torch.Tensor:
    radius = {"bilinear": 1.0, "bicubic": 2.0, "lanczos3": 3.0, "lanczos5": 5.0}[method]
    scale = size / target
    stretch = max(scale, 1.0) if antialias else 1.0
    place = ((torch.arange(target, dtype=torch.float64) + 0.5) * scale)[:, None]
    first = torch.ceil(place - radius * stretch - 0.5).clamp(0, size - 1)
    last = torch.floor(place + radius * stretch - 0.5).clamp(0, size - 1)
    pixels = torch.arange(size, dtype=torch.float64)
    weights = _kernel(method, (pixels + 0.5 - place).abs() / stretch)
    return torch.where((pixels < first) | (pixels > last), 0.0, weights)


def _area(size: int, target: int) -> torch.Tensor:
    edges = torch.arange(target + 1, dtype=torch.float64) * (size / target)
    pixels = torch.arange(size, dtype=torch.float64)
    return (torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)).clamp_min(0.0)


def _bicubic(size: int, target: int) -> torch.Tensor:
    """With TensorFlow's table of 1024 phases, places in float32."""
    scale = torch.tensor(float(size)) / torch.tensor(float(target))
    place = (torch.arange(target, dtype=torch.float32) + 0.5) * scale - 0.5
    below = torch.floor(place)
    fraction = (torch.round((place - below) * 1024) / 1024).to(torch.float64)
    weights = torch.zeros(target, size, dtype=torch.float64)
    rows = torch.arange(target)
    for offset in (-1, 0, 1, 2):
        column = below.long() + offset
        inside = (column >= 0) & (column < size)
        weights[rows[inside], column[inside]] += _cubic((fraction - offset).abs())[inside]
    return weights


def _nearest(size: int, target: int) -> torch.Tensor:
    scale = torch.tensor(float(size)) / torch.tensor(float(target))
    place = torch.floor((torch.arange(target, dtype=torch.float32) + 0.5) * scale).long()
    return torch.eye(size, dtype=torch.float64)[place.clamp_max(size - 1)]


def resize_matrix(method: str, size: int, target: int, antialias: bool) -> torch.Tensor:
    """float64 [target, size]: the weights of the old pixels in each new one, along one axis."""
    if size == target:
        return torch.eye(size, dtype=torch.float64)
    if method == "nearest":
        return _nearest(size, target)
    if method == "area":
        weights = _area(size, target)
    elif antialias or method != "bicubic":
        weights = _spans(method, size, target, antialias)
    else:
        weights = _bicubic(size, target)
    return weights / weights.sum(1, keepdim=True)


def resized(x_NHWC: torch.Tensor, height: int, width: int, method: str, antialias: bool) -> torch.Tensor:
    """The images in another size."""
    if method == "bilinear" and not antialias:
        y_NCHW = F.interpolate(x_NHWC.movedim(-1, 1), (height, width), mode="bilinear", align_corners=False)
        return y_NCHW.movedim(1, -1)
    rows = resize_matrix(method, x_NHWC.shape[1], height, antialias).to(x_NHWC)
    columns = resize_matrix(method, x_NHWC.shape[2], width, antialias).to(x_NHWC)
    return torch.einsum("ih,nhwc,jw->nijc", rows, x_NHWC, columns)


def resized_by_crop(x_NHWC: torch.Tensor, height: int, width: int, keep_size: bool) -> torch.Tensor:
    """The middle of the images in the aspect ratio of (height, width), then bilinear resizing.

    keep_size: cuts up to (height, width) from where the middle starts, as Keras's RandomCrop does.
    """
    old_height, old_width = x_NHWC.shape[1:3]
    tall = max(min(old_height, int(float(old_width * height) / width)), 1)
    wide = max(min(old_width, int(float(old_height * width) / height)), 1)
    top, left = (old_height - tall) // 2, (old_width - wide) // 2
    if keep_size:
        tall, wide = height, width
    x_NHWC = x_NHWC[:, top:top + tall, left:left + wide]
    return x_NHWC if x_NHWC.shape[1:3] == (height, width) else resized(x_NHWC, height, width, "bilinear", False)


def _quotient(product: int, divisor: int) -> int:
    """In float32, as TensorFlow divides."""
    return int(torch.tensor(float(product)) / torch.tensor(float(divisor)))


class Resizing(nn.Module):
    """Images in another size, stretched, or cropped or padded to the new aspect ratio before.

    size: of the inputs, where it is known; then the weights are computed once.
    """

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(
        self, height: int, width: int, method: str, crop: bool, pad: bool, fill_value: float, antialias: bool,
        size: tuple[int, int] | None,
    ) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.method = method
        self.crop, self.pad = crop, pad
        self.fill_value = fill_value
        self.antialias = antialias
        self.by_matrix = size is not None and (antialias or method != "bilinear")
        if size is not None and self.by_matrix:
            old_height, old_width = self.fitted(torch.zeros(1, *size, 1)).shape[1:3]
            for name, old, new in (("rows", old_height, height), ("columns", old_width, width)):
                self.register_buffer(name, resize_matrix(method, old, new, antialias), persistent=False)

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}, {self.method}"

    def fitted(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        """The images in the new aspect ratio, where that is asked for."""
        if not self.crop and not self.pad:
            return x_NHWC
        height, width = x_NHWC.shape[1:3]
        tall = _quotient(width * self.height, self.width)
        wide = _quotient(height * self.width, self.height)
        if self.crop:
            tall, wide = max(min(height, tall), 1), max(min(width, wide), 1)
            top, left = (height - tall) // 2, (width - wide) // 2
            return x_NHWC[:, top:top + tall, left:left + wide]
        top, left = max(tall - height, 0) // 2, max(wide - width, 0) // 2
        return F.pad(x_NHWC, (0, 0, left, left, top, top), value=self.fill_value)

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        x_NHWC = self.fitted(x_NHWC)
        if not self.by_matrix:
            return resized(x_NHWC, self.height, self.width, self.method, self.antialias)
        rows, columns = self.rows.to(x_NHWC.dtype), self.columns.to(x_NHWC.dtype)
        return torch.einsum("ih,nhwc,jw->nijc", rows, x_NHWC, columns)


class CenterCrop(nn.Module):
    """The middle of the images; what is too small is cropped to the aspect ratio and resized."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}"

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        spare = x_NHWC.shape[1] - self.height, x_NHWC.shape[2] - self.width
        if spare[0] < 0 or spare[1] < 0:
            return resized_by_crop(x_NHWC, self.height, self.width, keep_size=False)
        top, left = spare[0] // 2, spare[1] // 2
        return x_NHWC[:, top:top + self.height, left:left + self.width]


def build_resizing(layer: spec.Resizing, *shapes: Shape) -> nn.Module:
    _, height, width, _ = shapes[0]
    size = None if height is None or width is None else (height, width)
    return Resizing(layer.height, layer.width, layer.interpolation, layer.crop_to_aspect_ratio,
                    layer.pad_to_aspect_ratio, layer.fill_value, layer.antialias, size)


def build_center_crop(layer: spec.CenterCrop, *shapes: Shape) -> nn.Module:
    return CenterCrop(layer.height, layer.width)


BUILDERS = {spec.Resizing: build_resizing, spec.CenterCrop: build_center_crop}
