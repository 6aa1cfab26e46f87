"""Layers that work with the histogram or the range of an image's values, in PyTorch.

Shape suffixes: N batch, H height, W width, C channels.
"""

from __future__ import annotations

import torch
from torch import nn


def ranged(x: torch.Tensor, before: tuple[float, float], after: tuple[float, float]) -> torch.Tensor:
    """Values of one range in another."""
    if before == after:
        return x
    return (x - before[0]) / (before[1] - before[0]) * (after[1] - after[0]) + after[0]


class Equalization(nn.Module):
    """Spreads each channel's histogram over the batch, in training."""

    def __init__(self, value_range: tuple[float, float], bins: int) -> None:
        super().__init__()
        self.value_range = value_range
        self.bins = bins

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        return self.augmented(x_NHWC) if self.training else x_NHWC

    def augmented(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        """What training does."""
        scale = 255.0 / (self.value_range[1] - self.value_range[0])
        channels = [self._equalized(channel) for channel in (
            x_NHWC * scale - self.value_range[0] * scale).unbind(-1)]
        return torch.stack(channels, -1) / scale + self.value_range[0]

    def _equalized(self, x_NHW: torch.Tensor) -> torch.Tensor:
        """One channel with values 0 to 255."""
        bins = (x_NHW.to(torch.float32) * (self.bins - 1) / 255.0).to(torch.int32).clamp(0, self.bins - 1).long()
        histogram = torch.zeros(self.bins, dtype=torch.int64, device=x_NHW.device)
        histogram = histogram.scatter_add(0, bins.reshape(-1), torch.ones_like(bins).reshape(-1))
        total = histogram.cumsum(0)
        smallest = torch.where(total > 0, total, total[-1]).amin()
        spread = (total[-1] - smallest).clamp_min(1)
        # Keras divides whole numbers in the type of floating-point numbers.
        table = ((total - smallest) * 255).to(x_NHW.dtype) / spread.to(x_NHW.dtype)
        table = torch.round(table).clamp(0.0, 255.0)
        place = (x_NHW / 255.0 * (self.bins - 1)).clamp(0, self.bins - 1).long()
        return torch.where((histogram > 0).sum() <= 1, x_NHW, table[place])


class AutoContrast(nn.Module):
    """Stretches each channel of each image to the whole range; one of a single value stays as it is."""

    def __init__(self, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.value_range = value_range

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        y_NHWC = ranged(x_NHWC, self.value_range, (0.0, 255.0))
        low, high = y_NHWC.amin((1, 2), keepdim=True), y_NHWC.amax((1, 2), keepdim=True)
        scale = 255.0 / (high - low)
        y_NHWC = ranged((y_NHWC * scale - low * scale).clamp(0.0, 255.0), (0.0, 255.0), self.value_range)
        return torch.where(y_NHWC.isnan(), x_NHWC, y_NHWC)


class ContrastLimitedAdaptiveHistogramEqualization(nn.Module):
    """Equalizes the histogram of each tile of each channel, clipped, and blends between the tiles; in float32."""

    def __init__(self, value_range: tuple[float, float], clip_limit: float, grid: tuple[int, int]) -> None:
        super().__init__()
        self.value_range = value_range
        self.clip_limit = clip_limit
        self.grid = grid

    def extra_repr(self) -> str:
        return f"{self.value_range}, clip_limit={self.clip_limit}, grid={self.grid}"

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        y_NHWC = ranged(x_NHWC.to(torch.float32), self.value_range, (0.0, 255.0))
        return ranged(self._equalized(y_NHWC), (0.0, 255.0), self.value_range).to(x_NHWC.dtype)

    def _equalized(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        count, height, width, channels = x_NHWC.shape
        down, across = self.grid
        tall, wide = -(-height // down), -(-width // across)
        pixels = x_NHWC.clamp(0, 255).to(torch.int32).long()
        rows, columns = mirrored(height, tall * down, x_NHWC), mirrored(width, wide * across, x_NHWC)
        pixels = pixels[:, rows][:, :, columns]
        tiles = pixels.reshape(count, down, tall, across, wide, channels).permute(0, 1, 3, 5, 2, 4)
        table = self._tables(tiles.reshape(count, down, across, channels, tall * wide))
        # A tile's table holds at its middle; beyond the outermost middles the outermost tables hold.
        y, to_lower = places(tall, down, x_NHWC)
        x, to_right = places(wide, across, x_NHWC)
        to_lower, to_right = to_lower[:, None, None], to_right[:, None]
        example = torch.arange(count, device=x.device)[:, None, None, None]
        channel = torch.arange(channels, device=x.device)

        def read(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
            row = (row - 1).clamp(0, down - 1)[None, :, None, None]
            column = (column - 1).clamp(0, across - 1)[None, None, :, None]
            return table[example, row, column, channel, pixels]

        upper = read(y, x) * (1.0 - to_right) + read(y, x + 1) * to_right
        lower = read(y + 1, x) * (1.0 - to_right) + read(y + 1, x + 1) * to_right
        return (upper * (1.0 - to_lower) + lower * to_lower)[:, :height, :width]

    def _tables(self, tiles: torch.Tensor) -> torch.Tensor:
        """float32 [..., 256]: the new value of each of the 256 values. tiles: [..., pixels]."""
        size = tiles.shape[-1]
        histogram = torch.zeros(*tiles.shape[:-1], 256, dtype=torch.float32, device=tiles.device)
        histogram = histogram.scatter_add(-1, tiles, torch.ones_like(tiles, dtype=torch.float32))
        if self.clip_limit > 0:
            clipped = histogram.clamp(0, self.clip_limit * size / 256.0)
            histogram = clipped + (histogram - clipped).sum(-1, keepdim=True) / 256.0
        total = histogram.cumsum(-1)
        smallest = total.amin(-1, keepdim=True)
        spread = size - smallest
        spread = torch.where(spread == 0, 1.0, spread)
        return ((total - smallest) * 255.0 / spread).clamp(0, 255)


def mirrored(size: int, wanted: int, x: torch.Tensor) -> torch.Tensor:
    """Indices 0 to size - 1, then back from the last one, `wanted` in all."""
    index = torch.arange(wanted, device=x.device)
    return torch.where(index < size, index, 2 * size - 1 - index)


def places(size: int, count: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each pixel: the tile before it (from 1; 0 before the first tile's middle), and the share of the next."""
    place = (torch.arange(size * count, dtype=torch.float32, device=x.device) - size / 2.0) / size + 1.0
    before = torch.floor(place)
    return before.long(), place - before
