"""Where modules draw random numbers from: torch's own generator. (randomness.py adds the tape.)"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class Drawing(nn.Module):
    """Base of the modules that draw random numbers in training, from torch's own generator."""

    def draw(self, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """One random number per element, for `kept`."""
        return torch.rand(shape, device=device)

    def kept(self, drawn: torch.Tensor, rate: float) -> torch.Tensor:
        """True with probability 1 - rate."""
        return drawn >= rate

    def dropout(self, x: torch.Tensor, rate: float, stream: int = 0) -> torch.Tensor:
        """x with every element 0 with probability `rate`, the others scaled up. stream: tells the masks apart that
        one call draws."""
        return F.dropout(x, rate, True)

    def step_keys(self, steps: int) -> torch.Tensor | None:
        """The keys under which the modules inside draw at each of the steps, None without a tape."""
        return None

    def noise(self, x: torch.Tensor) -> torch.Tensor:
        """Standard normal values in the shape of x."""
        return torch.randn_like(x)

    def draws(self, x: torch.Tensor) -> Draws:
        """The random arrays of one call, on the device of x."""
        return Draws(x)


class Draws:
    """The random arrays of one call, in the order in which Keras's layer draws them.

    Numbers are float64 next to float64 values and float32 next to all others.
    """

    def __init__(self, x: torch.Tensor) -> None:
        self.device = x.device
        self.dtype = torch.float64 if x.dtype == torch.float64 else torch.float32

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Numbers in [low, high)."""
        return torch.rand(shape, dtype=self.dtype, device=self.device) * (high - low) + low

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> torch.Tensor:
        """int64: whole numbers in [low, high)."""
        return torch.randint(low, high, shape, device=self.device)

    def order(self, size: int) -> torch.Tensor:
        """int64 [size]: a permutation of 0..size-1."""
        return torch.randperm(size, device=self.device)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal numbers."""
        return torch.randn(shape, dtype=self.dtype, device=self.device)

    def beta(self, shape: tuple[int, ...], alpha: float | torch.Tensor) -> torch.Tensor:
        """Numbers of the symmetric beta distribution: of Student's t with 2 * alpha degrees of freedom, which two
        uniform numbers give exactly (Bailey 1994; Devroye, Non-Uniform Random Variate Generation, IX.3)."""
        first, second = 1.0 - self.uniform(shape), self.uniform(shape)
        cosine = torch.cos(2.0 * math.pi * second)
        squared = (first ** (-1.0 / alpha) - 1.0) * cosine**2
        return 0.5 + 0.5 * torch.sign(cosine) / torch.sqrt(1.0 + 1.0 / squared)

    def exponential(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Numbers of the exponential distribution with mean 1."""
        return -torch.log(1.0 - self.uniform(shape))


class Recorded(Draws):
    """The arrays of `draws`, kept when they are drawn first and handed out again after `rewind`."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self.device, self.dtype = draws.device, draws.dtype
        self.kept: list[torch.Tensor] = []
        self.place = 0

    def rewind(self) -> None:
        self.place = 0

    def _next(self, drawn: Callable[[], torch.Tensor]) -> torch.Tensor:
        if self.place == len(self.kept):
            self.kept.append(drawn())
        self.place += 1
        return self.kept[self.place - 1]

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        return self._next(lambda: self.draws.uniform(shape, low, high))

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> torch.Tensor:
        return self._next(lambda: self.draws.integers(shape, low, high))

    def order(self, size: int) -> torch.Tensor:
        return self._next(lambda: self.draws.order(size))

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return self._next(lambda: self.draws.normal(shape))
