"""Layers that mix images or chain other augmentations in PyTorch.

Shape suffixes: N batch, H height, W width, C channels.
"""

from __future__ import annotations

import torch
from torch import nn

from harness.backends.pytorch.drawing import Draws, Recorded
from harness.backends.pytorch.layers.augmentation import (
    Augmentation,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    inside,
    window,
)
from harness.backends.pytorch.layers.augmentation_colors import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
    per_image,
)
from harness.backends.pytorch.layers.augmentation_histograms import (
    AutoContrast,
    ContrastLimitedAdaptiveHistogramEqualization,
    Equalization,
)
from harness.spec.layers import augmentation_mixing as spec
from harness.spec.layers.base import Shape


class MixUp(Augmentation):
    """w * x + (1 - w) * another image of the batch."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        other_NHWC = x_NHWC[draws.order(len(x_NHWC))]
        weight = per_image(draws.beta((len(x_NHWC),), self.alpha)).to(x_NHWC.dtype)
        return weight * x_NHWC + (1.0 - weight) * other_NHWC


class CutMix(Augmentation):
    """A rectangle of another image of the batch in each image."""

    def __init__(self, factor: tuple[float, float]) -> None:
        super().__init__()
        self.factor = factor

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        count, height, width, _ = x_NHWC.shape
        alpha = draws.uniform((), *self.factor) + 1e-6
        share = torch.sqrt(1.0 - draws.beta((count,), alpha))
        columns = window(draws, share, width)
        rows = window(draws, share, height)
        return torch.where(inside(x_NHWC, columns, rows), x_NHWC[draws.order(count)], x_NHWC)


class RandAugment(Augmentation):
    """Operations drawn for the whole batch, one after the other. Each operation draws its numbers once."""

    def __init__(
        self, value_range: tuple[float, float], count: int, factor: tuple[float, float], interpolation: str
    ) -> None:
        super().__init__()
        self.count = count
        warp = (interpolation, "reflect", 0.0)
        bits = max(1, int(8 * factor[1]))
        self.operations = nn.ModuleList([
            RandomShear(factor, factor, *warp), RandomTranslation(factor, factor, *warp),
            RandomRotation(factor, *warp), RandomBrightness(factor, value_range),
            RandomColorDegeneration(factor, value_range), RandomContrast(factor, value_range),
            RandomSharpness(factor, value_range), RandomPosterization((1, bits), value_range),
            Solarization(factor, factor, value_range), AutoContrast(value_range), Equalization(value_range, 256),
        ])

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        chosen = draws.integers((self.count,), 0, len(self.operations))
        # An operation draws its numbers when it is first computed, and has the same ones the next time.
        numbers = [Recorded(draws) for _ in self.operations]
        for index in chosen:
            results = [applied(operation, x_NHWC, own)
                       for operation, own in zip(self.operations, numbers, strict=True)]
            for place, result in enumerate(results):
                x_NHWC = torch.where(index == place, result, x_NHWC)
        return x_NHWC


def applied(operation: nn.Module, x_NHWC: torch.Tensor, numbers: Recorded) -> torch.Tensor:
    """What an operation does in training."""
    numbers.rewind()
    if isinstance(operation, Augmentation):
        return operation.augmented(x_NHWC, numbers)
    y_NHWC: torch.Tensor = operation.augmented(x_NHWC) if isinstance(operation, Equalization) else operation(x_NHWC)
    return y_NHWC


def build_mix_up(layer: spec.MixUp, *shapes: Shape) -> nn.Module:
    return MixUp(layer.alpha)


def build_cut_mix(layer: spec.CutMix, *shapes: Shape) -> nn.Module:
    return CutMix(layer.factor)


def build_rand_augment(layer: spec.RandAugment, *shapes: Shape) -> nn.Module:
    return RandAugment(layer.value_range, layer.num_ops, layer.factor, layer.interpolation)


def build_clahe(layer: spec.ContrastLimitedAdaptiveHistogramEqualization, *shapes: Shape) -> nn.Module:
    return ContrastLimitedAdaptiveHistogramEqualization(layer.value_range, layer.clip_limit, layer.tile_grid_size)


BUILDERS = {
    spec.MixUp: build_mix_up,
    spec.CutMix: build_cut_mix,
    spec.RandAugment: build_rand_augment,
    spec.ContrastLimitedAdaptiveHistogramEqualization: build_clahe,
}
