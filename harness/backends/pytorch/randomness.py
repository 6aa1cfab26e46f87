"""The tape's random bits in PyTorch (plan/randomness.py is the reference)."""

from __future__ import annotations

import torch
from torch import nn

from harness.plan import randomness


def _mix(x: torch.Tensor) -> torch.Tensor:
    for shift, multiplier in zip(randomness.SHIFTS, (*randomness.MULTIPLIERS, None), strict=True):
        # Shifts of signed integers keep the sign; the mask makes them the hash's unsigned shifts.
        x = x ^ ((x >> shift) & ((1 << (32 - shift)) - 1))
        if multiplier is not None:
            x = x * multiplier
    return x


def bits(key: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """int32 of the given shape: one hash per element, in C order. key: int32 [2]."""
    size = 1
    for dimension in shape:
        size *= dimension
    x = torch.arange(size, dtype=torch.int32, device=key.device)
    x = _mix(x ^ key[0])
    return _mix(x ^ key[1]).reshape(shape)


def keep_mask(key: torch.Tensor, shape: tuple[int, ...], rate: float) -> torch.Tensor:
    """bool: True with probability 1 - rate."""
    return bits(key, shape) >= randomness.threshold(rate)


class Keyed(nn.Module):
    """Base of modules that draw random numbers: from the tape when `key` is set, else from torch's generator.

    key: int32 [2], a view of the network's keys of the current step.
    """

    key: torch.Tensor | None = None

    # Filled by `use_normal_table` where normal noise comes from the tape.
    normal_table: torch.Tensor | None = None

    def use_normal_table(self, dtype: torch.dtype, device: torch.device) -> None:
        self.normal_table = torch.from_numpy(randomness.normal_table()).to(dtype).to(device)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal values from the tape."""
        assert self.key is not None
        assert self.normal_table is not None
        index = (bits(self.key, shape) >> (32 - randomness.NORMAL_BITS)) & (2**randomness.NORMAL_BITS - 1)
        return self.normal_table[index.long()]
