"""Layers that change the values of pixels in PyTorch: Keras's arithmetic on the same random numbers.

Shape suffixes: N batch, H height, W width, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from harness.backends.pytorch.drawing import Draws
from harness.backends.pytorch.layers.augmentation import Augmentation
from harness.backends.pytorch.layers.augmentation_histograms import AutoContrast, Equalization, ranged
from harness.spec.layers import augmentation_colors as spec
from harness.spec.layers.base import Shape


def gray(x_NHWC: torch.Tensor) -> torch.Tensor:
    """[N, H, W, 1]; an image of one channel is gray."""
    if x_NHWC.shape[-1] == 1:
        return x_NHWC
    red, green, blue = x_NHWC.unbind(-1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).unsqueeze(-1)


def hsv(x_NHWC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hue in [0, 1), saturation and value, as TensorFlow's kernel computes them (colorspace_op.h)."""
    red, green, blue = x_NHWC.unbind(-1)
    value = x_NHWC.amax(-1)
    spread = value - x_NHWC.amin(-1)
    saturation = torch.where(value > 0, spread / value, 0.0)
    sixth = torch.where(spread > 0, 1.0 / (6.0 * spread), 0.0)
    hue = torch.where(blue == value, sixth * (red - green) + 4.0 / 6.0, 0.0)
    hue = torch.where(green == value, sixth * (blue - red) + 2.0 / 6.0, hue)
    hue = torch.where(red == value, sixth * (green - blue), hue)
    hue = torch.where(spread > 0, hue, 0.0)
    return torch.where(hue < 0, hue + 1.0, hue), saturation, value


def rgb(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """[N, H, W, 3], likewise. TensorFlow's kernel has no gradient: nothing before it is trained through it."""
    place = hue * 6.0
    red = ((place - 3.0).abs() - 1.0).clamp(0.0, 1.0)
    green = (2.0 - (place - 2.0).abs()).clamp(0.0, 1.0)
    blue = (2.0 - (place - 4.0).abs()).clamp(0.0, 1.0)
    channels = [(1.0 - saturation + saturation * channel) * value for channel in (red, green, blue)]
    return torch.stack(channels, -1).detach()


def per_image(numbers_N: torch.Tensor) -> torch.Tensor:
    """[N, 1, 1, 1]."""
    return numbers_N[:, None, None, None]


class Coloring(Augmentation):
    """Base: the values' range, and the range of the random factor."""

    def __init__(self, factor: tuple[float, float], value_range: tuple[float, float]) -> None:
        super().__init__()
        self.factor = factor
        self.value_range = value_range

    def extra_repr(self) -> str:
        return f"factor={self.factor}, value_range={self.value_range}"

    def within(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(self.value_range[0], self.value_range[1])


class RandomContrast(Coloring):
    """Scales the distance from each channel's mean."""

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        scale = draws.uniform((len(x_NHWC), 1, 1, 1), 1.0 - self.factor[0], 1.0 + self.factor[1])
        mean = x_NHWC.mean((1, 2), keepdim=True)
        return self.within((x_NHWC - mean) * scale.to(x_NHWC.dtype) + mean)


class RandomBrightness(Coloring):
    """Adds a share of the value range."""

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        share = draws.uniform((len(x_NHWC), 1, 1, 1), *self.factor)
        return self.within(x_NHWC + (share * (self.value_range[1] - self.value_range[0])).to(x_NHWC.dtype))


class RandomHue(Coloring):
    """Turns the hue."""

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        sign = torch.where(draws.uniform((len(x_NHWC),)) > 0.5, -1.0, 1.0)
        turn = sign * draws.uniform((len(x_NHWC),), *self.factor) * 0.5
        # Keras changes the range of values in float32.
        scaled = self.value_range != (0.0, 1.0)
        y_NHWC = ranged(x_NHWC.to(torch.float32), self.value_range, (0.0, 1.0)) if scaled else x_NHWC
        hue, saturation, value = hsv(y_NHWC)
        hue = hue + turn[:, None, None].to(hue.dtype)
        hue = torch.where(hue > 1.0, hue - 1.0, hue)
        hue = torch.where(hue < 0.0, hue + 1.0, hue)
        y_NHWC = rgb(hue, saturation, value).clamp(0.0, 1.0)
        return ranged(y_NHWC, (0.0, 1.0), self.value_range).to(x_NHWC.dtype)


class RandomSaturation(Coloring):
    """Scales the saturation."""

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        factor = draws.uniform((len(x_NHWC),), *self.factor)
        # keras.config.epsilon() is 1e-7.
        factor = (factor / (1.0 - factor + 1e-7))[:, None, None]
        hue, saturation, value = hsv(x_NHWC)
        return rgb(hue, self.within(saturation * factor.to(saturation.dtype)), value)


class RandomSharpness(Coloring):
    """Blends with the image smoothed by a window of 3 by 3."""

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        factor = per_image(draws.uniform((len(x_NHWC),), *self.factor) * 2.0).to(x_NHWC.dtype)
        channels = x_NHWC.shape[-1]
        kernel = torch.full((channels, 1, 3, 3), 1.0 / 13.0, dtype=x_NHWC.dtype, device=x_NHWC.device)
        kernel[:, :, 1, 1] = 5.0 / 13.0
        smoothed = F.conv2d(x_NHWC.movedim(-1, 1), kernel, padding=1, groups=channels).movedim(1, -1)
        return self.within(x_NHWC + (1.0 - factor) * (smoothed - x_NHWC))


class RandomColorDegeneration(Coloring):
    """Blends with the gray image."""

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        factor = draws.uniform((len(x_NHWC), 1, 1, 1), *self.factor).to(x_NHWC.dtype)
        return self.within(x_NHWC + factor * (gray(x_NHWC) - x_NHWC))


class RandomInvert(Coloring):
    """The negative, with a random probability."""

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        probability = draws.uniform((len(x_NHWC),), *self.factor)
        chosen = draws.uniform((len(x_NHWC),)) < probability
        return torch.where(per_image(chosen), self.value_range[1] - x_NHWC, x_NHWC)


class RandomGrayscale(Augmentation):
    """Gray with probability `factor`."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        chosen = per_image(draws.uniform((len(x_NHWC),)) < self.factor)
        return torch.where(chosen, gray(x_NHWC), x_NHWC)


class RandomPosterization(Coloring):
    """Keeps some of the upper bits of eight. factor: the fewest, and one more than the most, or the same twice."""

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        low, high = int(self.factor[0]), int(self.factor[1])
        if low == high:
            kept = torch.full((len(x_NHWC),), low, device=x_NHWC.device)
        else:
            kept = draws.integers((len(x_NHWC),), low, high)
        shift = per_image(8 - kept)
        # Through whole numbers that wrap around at 256, as those of eight bits do.
        pixels = ranged(x_NHWC, self.value_range, (0.0, 255.0)).to(torch.int64) & 255
        return ranged(((pixels >> shift) << shift).to(x_NHWC.dtype), (0.0, 255.0), self.value_range)


class Solarization(Augmentation):
    """Adds a share of 255, then 255 - x from a threshold on."""

    def __init__(
        self, addition: tuple[float, float], threshold: tuple[float, float], value_range: tuple[float, float]
    ) -> None:
        super().__init__()
        self.addition, self.threshold = addition, threshold
        self.value_range = value_range

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        shape = (len(x_NHWC), 1, 1, 1)
        addition = draws.uniform(shape, self.addition[0], self.addition[1] * 255.0).to(x_NHWC.dtype)
        threshold = draws.uniform(shape, self.threshold[0], self.threshold[1] * 255.0).to(x_NHWC.dtype)
        y_NHWC = (ranged(x_NHWC, self.value_range, (0.0, 255.0)) + addition).clamp(0.0, 255.0)
        y_NHWC = torch.where(y_NHWC < threshold, y_NHWC, 255.0 - y_NHWC)
        return ranged(y_NHWC, (0.0, 255.0), self.value_range)


class RandomGaussianBlur(Augmentation):
    """Blurs with a random width; sizes: of the window along x, then y, which Keras reads in this order."""

    def __init__(
        self, factor: tuple[float, float], sizes: tuple[int, int], sigma: tuple[float, float],
        value_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.factor, self.sizes, self.sigma = factor, sizes, sigma
        self.value_range = value_range

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        probability = draws.uniform((len(x_NHWC),), *self.factor)
        chosen = draws.uniform((len(x_NHWC),)) < probability
        sigma = (draws.uniform((2,), *self.sigma) + 1e-6).to(x_NHWC.dtype)
        lines = []
        for size, width in zip(self.sizes, sigma, strict=True):
            place = torch.arange(size, dtype=x_NHWC.dtype, device=x_NHWC.device) - (size - 1) / 2
            line = torch.exp(-0.5 * (place / width) ** 2)
            lines.append(line / line.sum())
        channels = x_NHWC.shape[-1]
        # Keras lays the outer product out as [sizes[0], sizes[1]] whatever its shape.
        kernel = torch.outer(lines[1], lines[0]).reshape(1, 1, *self.sizes).expand(channels, 1, *self.sizes)
        margins = (self.sizes[0] // 2, self.sizes[1] // 2)
        y_NCHW = F.conv2d(x_NHWC.movedim(-1, 1), kernel, padding=margins, groups=channels)
        y_NHWC = torch.where(per_image(chosen), y_NCHW.movedim(1, -1), x_NHWC)
        return y_NHWC.clamp(self.value_range[0], self.value_range[1])


class RandomColorJitter(Augmentation):
    """Several changes of color in a row, which share one call's random numbers."""

    def __init__(self, parts: tuple[Augmentation, ...]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def augmented(self, x_NHWC: torch.Tensor, draws: Draws) -> torch.Tensor:
        for part in self.parts:
            x_NHWC = part.augmented(x_NHWC, draws)  # type: ignore[operator]
        return x_NHWC


COLORINGS = {
    spec.RandomContrast: RandomContrast, spec.RandomBrightness: RandomBrightness, spec.RandomHue: RandomHue,
    spec.RandomSaturation: RandomSaturation, spec.RandomSharpness: RandomSharpness,
    spec.RandomColorDegeneration: RandomColorDegeneration, spec.RandomInvert: RandomInvert,
    spec.RandomPosterization: RandomPosterization,
}


def build_coloring(layer: spec.RandomContrast, *shapes: Shape) -> nn.Module:
    return COLORINGS[type(layer)](layer.factor, layer.value_range)


def build_random_grayscale(layer: spec.RandomGrayscale, *shapes: Shape) -> nn.Module:
    return RandomGrayscale(layer.factor)


def build_solarization(layer: spec.Solarization, *shapes: Shape) -> nn.Module:
    return Solarization(layer.addition_factor, layer.threshold_factor, layer.value_range)


def build_equalization(layer: spec.Equalization, *shapes: Shape) -> nn.Module:
    return Equalization(layer.value_range, layer.bins)


def build_auto_contrast(layer: spec.AutoContrast, *shapes: Shape) -> nn.Module:
    return AutoContrast(layer.value_range)


def build_random_gaussian_blur(layer: spec.RandomGaussianBlur, *shapes: Shape) -> nn.Module:
    return RandomGaussianBlur(layer.factor, layer.kernel_size, layer.sigma, layer.value_range)


def build_random_color_jitter(layer: spec.RandomColorJitter, *shapes: Shape) -> nn.Module:
    wanted = ((RandomBrightness, layer.brightness_factor), (RandomContrast, layer.contrast_factor),
              (RandomSaturation, layer.saturation_factor), (RandomHue, layer.hue_factor))
    return RandomColorJitter(tuple(cls(factor, layer.value_range) for cls, factor in wanted if factor is not None))


BUILDERS = {
    **dict.fromkeys(COLORINGS, build_coloring),
    spec.RandomGrayscale: build_random_grayscale,
    spec.Solarization: build_solarization,
    spec.Equalization: build_equalization,
    spec.AutoContrast: build_auto_contrast,
    spec.RandomGaussianBlur: build_random_gaussian_blur,
    spec.RandomColorJitter: build_random_color_jitter,
}
