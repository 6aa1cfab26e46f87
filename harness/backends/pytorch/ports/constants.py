"""Constants that TensorFlow has in float32 whatever the tensor's precision: the same in a port, so that its float64 is
Keras's. In float32, which is what is trained in, both have the same."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn import functional

from harness.backends.pytorch.activations import gelu, r32


def use_keras_constants() -> None:
    """Replaces torch.nn.functional.gelu in this process, for good."""
    own = functional.gelu

    @functools.wraps(own)
    def replaced(input: torch.Tensor, approximate: str = "none") -> Any:
        if input.dtype != torch.float64:
            return own(input, approximate=approximate)
        if approximate == "none":
            return gelu(input)
        inner = 0.7978845608028654 * (input + r32(0.044715) * input**3)
        return 0.5 * input * (1.0 + torch.tanh(inner))

    functional.gelu = replaced
