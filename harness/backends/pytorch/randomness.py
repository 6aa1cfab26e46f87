"""The tape's random bits in PyTorch (plan/randomness.py is the reference).

A module that draws is `Keyed` and draws by the methods of `Drawing` alone, never from `key` or torch directly: an
exported file has `Drawing` in the place of `Keyed`, and no tape.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from harness.backends.pytorch.drawing import Drawing, Draws
from harness.plan import randomness

# Told of every draw, (stream, bits), while a certificate is made.
recorder: Callable[[int, torch.Tensor], None] | None = None


def _mix(x: torch.Tensor) -> torch.Tensor:
    for shift, multiplier in zip(randomness.SHIFTS, (*randomness.MULTIPLIERS, None), strict=True):
        # Shifts of signed integers keep the sign; the mask makes them the hash's unsigned shifts.
        x = x ^ ((x >> shift) & ((1 << (32 - shift)) - 1))
        if multiplier is not None:
            x = x * multiplier
    return x


def bits(key: torch.Tensor, shape: tuple[int, ...], stream: int = 0) -> torch.Tensor:
    """int32 of the given shape: one hash per element, in C order. key: int32 [2]."""
    size = 1
    for dimension in shape:
        size *= dimension
    x = torch.arange(size, dtype=torch.int32, device=key.device)
    x = _mix(x ^ key[0])
    drawn = _mix(x ^ (key[1] ^ randomness.stream_word(stream))).reshape(shape)
    if recorder is not None:
        recorder(stream, drawn)
    return drawn


def keep_mask(key: torch.Tensor, shape: tuple[int, ...], rate: float, stream: int = 0) -> torch.Tensor:
    """bool: True with probability 1 - rate."""
    return bits(key, shape, stream) >= randomness.threshold(rate)


class Keyed(Drawing):
    """Base of modules that draw random numbers: from the tape when `key` is set, else from torch's generator.

    key: int32 [2], a view of the network's keys of the current step.
    """

    key: torch.Tensor | None = None

    # Filled by `use_normal_table` where normal noise comes from the tape.
    normal_table: torch.Tensor | None = None

    def use_normal_table(self, dtype: torch.dtype, device: torch.device) -> None:
        self.normal_table = torch.from_numpy(randomness.normal_table()).to(dtype).to(device)

    def draw(self, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
        return super().draw(shape, device) if self.key is None else bits(self.key, shape)

    def kept(self, drawn: torch.Tensor, rate: float) -> torch.Tensor:
        return super().kept(drawn, rate) if self.key is None else drawn >= randomness.threshold(rate)

    def dropout(self, x: torch.Tensor, rate: float, stream: int = 0) -> torch.Tensor:
        if self.key is None:
            return super().dropout(x, rate, stream)
        keep = keep_mask(self.key, tuple(x.shape), rate, stream)
        return torch.where(keep, x * (1.0 / (1.0 - rate)), torch.zeros((), dtype=x.dtype, device=x.device))

    def step_keys(self, steps: int) -> torch.Tensor | None:
        return None if self.key is None else bits(self.key, (steps, 2))

    def noise(self, x: torch.Tensor) -> torch.Tensor:
        return super().noise(x) if self.key is None else self.normal(tuple(x.shape)).to(x.dtype)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal values from the tape."""
        assert self.key is not None
        assert self.normal_table is not None
        index = (bits(self.key, shape) >> (32 - randomness.NORMAL_BITS)) & (2**randomness.NORMAL_BITS - 1)
        return self.normal_table[index.long()]

    def draws(self, x: torch.Tensor) -> Draws:
        return super().draws(x) if self.key is None else TapeDraws(self.key, self.normal_table, x)


class TapeDraws(Draws):
    """The random arrays of one call from the tape's key, each under a number of its own."""

    def __init__(self, key: torch.Tensor, normal_table: torch.Tensor | None, x: torch.Tensor) -> None:
        super().__init__(x)
        self.key = key
        self.normal_table = normal_table
        self.taken = 0

    def _bits(self, shape: tuple[int, ...]) -> torch.Tensor:
        self.taken += 1
        return bits(self.key, shape, self.taken - 1)

    def _numbers(self, shape: tuple[int, ...], count: int) -> torch.Tensor:
        """int64: the upper `count` bits of each element's hash, not negative."""
        return ((self._bits(shape) >> (32 - count)) & (2**count - 1)).long()

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        numbers = self._numbers(shape, randomness.UNIFORM_BITS).to(self.dtype) * 2.0**-randomness.UNIFORM_BITS
        return numbers * (high - low) + low

    def integers(self, shape: tuple[int, ...], low: int, high: int) -> torch.Tensor:
        return low + ((self._numbers(shape, randomness.UNIFORM_BITS) * (high - low)) >> randomness.UNIFORM_BITS)

    def order(self, size: int) -> torch.Tensor:
        return torch.argsort(self._bits((size,)), stable=True)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        assert self.normal_table is not None
        return self.normal_table.to(self.dtype)[self._numbers(shape, randomness.NORMAL_BITS)]
