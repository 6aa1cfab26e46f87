"""Layers that move pixels at random in PyTorch, in training only: Keras's transforms of the same random numbers.

Shape suffixes: N batch, H height, W width, C channels.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from harness.backends.pytorch.drawing import Draws
from harness.backends.pytorch.layers.augmentation_warping import homography, warp
from harness.backends.pytorch.layers.preprocessing_images import resized_by_crop
from harness.backends.pytorch.randomness import Keyed
from harness.spec.layers import augmentation as spec
from harness.spec.layers.base import Shape


class Augmentation(Keyed):
    """Base: hands images on at inference; `augmented` is for training."""

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        return self.augmented(x_NHWC, self.draws(x_NHWC)) if self.training else x_NHWC

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        raise NotImplementedError


class RandomFlip(Augmentation):
    """Mirrors each image with probability 1/2. axes: of height and width, those that are turned."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def extra_repr(self) -> str:
        return f"axes={self.axes}"

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        chosen = draws.uniform((len(x_NHWC), 1, 1, 1)) <= 0.5
        return torch.where(chosen, x_NHWC.flip(self.axes), x_NHWC)


class RandomCrop(Augmentation):
    """One random window for all images, or the middle, resized, where the images are not larger."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}"

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        spare = x_NHWC.shape[1] - self.height, x_NHWC.shape[2] - self.width
        if spare[0] <= 0 or spare[1] <= 0:
            return resized_by_crop(x_NHWC, self.height, self.width, keep_size=True)
        top = draws.uniform((), 0.0, float(spare[0] + 1)).long()
        left = draws.uniform((), 0.0, float(spare[1] + 1)).long()
        # By index, because the window's place is known on the device only.
        x_NHWC = x_NHWC.index_select(1, top + torch.arange(self.height, device=x_NHWC.device))
        return x_NHWC.index_select(2, left + torch.arange(self.width, device=x_NHWC.device))


class Warping(Augmentation):
    """Base of the layers that warp images by a transform [N, 8] each."""

    def __init__(self, interpolation: str, fill_mode: str, fill_value: float) -> None:
        super().__init__()
        self.interpolation = interpolation
        self.fill_mode = fill_mode
        self.fill_value = fill_value

    def extra_repr(self) -> str:
        return f"{self.interpolation}, {self.fill_mode}, {self.fill_value}"

    def transform(self, count: int, height: int, width: int, draws: Draws) -> torch.Tensor:
        raise NotImplementedError

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        count, height, width, _ = x_NHWC.shape
        transform_N8 = self.transform(count, height, width, draws)
        return warp(x_NHWC, transform_N8, self.interpolation, self.fill_mode, self.fill_value)


def rows_of(*columns: torch.Tensor | float) -> torch.Tensor:
    """[N, 8] float32 of eight columns [N], some of them plain numbers."""
    first = next(column for column in columns if isinstance(column, torch.Tensor))
    return torch.stack([column if isinstance(column, torch.Tensor) else torch.full_like(first, column)
                        for column in columns], 1).to(torch.float32)


class RandomTranslation(Warping):
    """Moves each image by shares of its height and width."""

    def __init__(
        self, height: tuple[float, float], width: tuple[float, float], interpolation: str, fill_mode: str,
        fill_value: float,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value)
        self.height, self.width = height, width

    def transform(self, count: int, height: int, width: int, draws: Draws) -> torch.Tensor:
        down = draws.uniform((count,), *self.height) * height
        right = draws.uniform((count,), *self.width) * width
        return rows_of(1.0, 0.0, -right, 0.0, 1.0, -down, 0.0, 0.0)


class RandomRotation(Warping):
    """Turns each image about its middle by a share of a full turn."""

    def __init__(self, factor: tuple[float, float], interpolation: str, fill_mode: str, fill_value: float) -> None:
        super().__init__(interpolation, fill_mode, fill_value)
        self.factor = factor

    def transform(self, count: int, height: int, width: int, draws: Draws) -> torch.Tensor:
        degrees = draws.uniform((count,), self.factor[0] * 360.0, self.factor[1] * 360.0)
        angle = degrees.to(torch.float64) * (math.pi / 180.0)
        cosine, sine, x, y = torch.cos(angle), torch.sin(angle), 0.5 * (width - 1.0), 0.5 * (height - 1.0)
        return rows_of(cosine, -sine, x - x * cosine + y * sine, sine, cosine, y - x * sine - y * cosine, 0.0, 0.0)


class RandomZoom(Warping):
    """Shrinks or enlarges each image about its middle. width None: as the height."""

    def __init__(
        self, height: tuple[float, float], width: tuple[float, float] | None, interpolation: str, fill_mode: str,
        fill_value: float,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value)
        self.height, self.width = height, width

    def transform(self, count: int, height: int, width: int, draws: Draws) -> torch.Tensor:
        down = draws.uniform((count,), 1.0 + self.height[0], 1.0 + self.height[1])
        right = down if self.width is None else draws.uniform((count,), 1.0 + self.width[0], 1.0 + self.width[1])
        down, right = down.to(torch.float32), right.to(torch.float32)
        x, y = (width - 1.0) / 2.0 * (1.0 - right), (height - 1.0) / 2.0 * (1.0 - down)
        return rows_of(right, 0.0, x, 0.0, down, y, 0.0, 0.0)


class RandomShear(Warping):
    """Slants each image along x and y."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], interpolation: str, fill_mode: str, fill_value: float
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value)
        self.x, self.y = x, y

    def transform(self, count: int, height: int, width: int, draws: Draws) -> torch.Tensor:
        sign = torch.where(draws.uniform((count,)) > 0.5, -1.0, 1.0)
        down = draws.uniform((count,), *self.y) * sign
        right = draws.uniform((count,), *self.x) * sign
        return rows_of(1.0, right, 0.0, down, 1.0, 0.0, 0.0, 0.0)


class RandomPerspective(Augmentation):
    """Views images from a random side. factor: from which the probability is drawn. scale: twice the largest move."""

    def __init__(self, factor: tuple[float, float], scale: float, interpolation: str, fill_value: float) -> None:
        super().__init__()
        self.factor = factor
        self.scale = scale
        self.interpolation = interpolation
        self.fill_value = fill_value

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        count, height, width, _ = x_NHWC.shape
        probability = draws.uniform((count,), *self.factor)
        chosen = draws.uniform((count,)) < probability
        moves = draws.uniform((count, 4, 2), -0.5 * self.scale, 0.5 * self.scale)
        right, bottom = width - 1.0, height - 1.0
        corners = torch.tensor([[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]], dtype=moves.dtype,
                               device=moves.device).expand(count, 4, 2)
        transform_N8 = homography(corners.to(torch.float32), (corners + corners * moves).to(torch.float32))
        y_NHWC = warp(x_NHWC, transform_N8, self.interpolation, "constant", self.fill_value)
        return torch.where(chosen[:, None, None, None], y_NHWC, x_NHWC)


def window(draws: Draws, share_N: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(first, end) along an axis of a window with that share of its size, at a random place."""
    length = share_N * size
    start = draws.uniform(tuple(share_N.shape)) * (size - length)
    return start, start + length


def inside(
    x_NHWC: torch.Tensor, columns: tuple[torch.Tensor, torch.Tensor], rows: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """bool [N, H, W, 1]: the pixels within the windows."""
    (x0, x1), (y0, y1) = ((a[:, None, None, None], b[:, None, None, None]) for a, b in (columns, rows))
    y = torch.arange(x_NHWC.shape[1], dtype=x0.dtype, device=x0.device)[None, :, None, None]
    x = torch.arange(x_NHWC.shape[2], dtype=x0.dtype, device=x0.device)[None, None, :, None]
    return (x >= x0) & (x < x1) & (y >= y0) & (y < y1)


class RandomErasing(Augmentation):
    """Puts noise (fill_value None) or a value, or one per channel, into a random rectangle of images."""

    def __init__(
        self, factor: tuple[float, float], scale: tuple[float, float],
        fill_value: float | tuple[float, float, float] | None, value_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.factor, self.scale = factor, scale
        self.fill_value = fill_value
        self.value_range = value_range

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        count, height, width, _ = x_NHWC.shape
        shares = torch.sqrt(draws.uniform((count, 2), *self.scale))
        columns = window(draws, shares[:, 0], width)
        rows = window(draws, shares[:, 1], height)
        erased = inside(x_NHWC, columns, rows)
        probability = draws.uniform((count,), *self.factor)
        chosen = draws.uniform((count,)) < probability
        if self.fill_value is None:
            fill = draws.normal(tuple(x_NHWC.shape)) * self.value_range[1]
        else:
            fill = torch.tensor(self.fill_value, dtype=draws.dtype, device=x_NHWC.device)
        fill = fill.clamp(self.value_range[0], self.value_range[1]).to(x_NHWC.dtype)
        return torch.where(chosen[:, None, None, None] & erased, fill, x_NHWC)


def build_random_flip(layer: spec.RandomFlip, *shapes: Shape) -> nn.Module:
    return RandomFlip({"horizontal": (2,), "vertical": (1,), "horizontal_and_vertical": (1, 2)}[layer.mode])


def build_random_crop(layer: spec.RandomCrop, *shapes: Shape) -> nn.Module:
    return RandomCrop(layer.height, layer.width)


def build_random_translation(layer: spec.RandomTranslation, *shapes: Shape) -> nn.Module:
    return RandomTranslation(layer.height_factor, layer.width_factor, layer.interpolation, layer.fill_mode,
                             layer.fill_value)


def build_random_rotation(layer: spec.RandomRotation, *shapes: Shape) -> nn.Module:
    return RandomRotation(layer.factor, layer.interpolation, layer.fill_mode, layer.fill_value)


def build_random_zoom(layer: spec.RandomZoom, *shapes: Shape) -> nn.Module:
    return RandomZoom(layer.height_factor, layer.width_factor, layer.interpolation, layer.fill_mode, layer.fill_value)


def build_random_shear(layer: spec.RandomShear, *shapes: Shape) -> nn.Module:
    return RandomShear(layer.x_factor, layer.y_factor, layer.interpolation, layer.fill_mode, layer.fill_value)


def build_random_perspective(layer: spec.RandomPerspective, *shapes: Shape) -> nn.Module:
    return RandomPerspective(layer.factor, layer.scale, layer.interpolation, layer.fill_value)


def build_random_erasing(layer: spec.RandomErasing, *shapes: Shape) -> nn.Module:
    return RandomErasing(layer.factor, layer.scale, layer.fill_value, layer.value_range)


BUILDERS = {
    spec.RandomFlip: build_random_flip,
    spec.RandomCrop: build_random_crop,
    spec.RandomTranslation: build_random_translation,
    spec.RandomRotation: build_random_rotation,
    spec.RandomZoom: build_random_zoom,
    spec.RandomShear: build_random_shear,
    spec.RandomPerspective: build_random_perspective,
    spec.RandomErasing: build_random_erasing,
}
