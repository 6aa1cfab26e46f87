"""Keras's activation functions in PyTorch (semantics ledger, table 4).

`r32(c)` marks constants that TensorFlow rounds to float32 even in float64 training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)

Activation = Callable[[torch.Tensor], torch.Tensor]


def r32(value: float) -> float:
    """The float64 value of the float32 rounding."""
    return float(np.float32(value))


def gelu(x: torch.Tensor) -> torch.Tensor:
    if x.dtype == torch.float64:
        return 0.5 * x * torch.erfc(-x * r32(2**-0.5))
    return F.gelu(x)


def selu(x: torch.Tensor) -> torch.Tensor:
    # Keras's gradient at 0 is that of the positive side; torch's that of the negative.
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return torch.where(x >= 0, scale * x, scale * alpha * torch.expm1(x.clamp_max(0)))


def celu(x: torch.Tensor) -> torch.Tensor:
    return x.clamp_min(0) + torch.expm1(x.clamp_max(0))


def squareplus(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * (x + torch.sqrt(x * x + 4.0))


ACTIVATIONS: dict[str, Activation] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "elu": F.elu,
    "selu": selu,
    "celu": celu,
    "sigmoid": torch.sigmoid,
    # F.hardsigmoid has a float32 1/6 in its float64 backward.
    "hard_sigmoid": lambda x: F.relu6(x + 3.0) / 6.0,
    "tanh": torch.tanh,
    # F.hardtanh's gradient is 0 at the bounds, Keras's is 1.
    "hard_tanh": lambda x: torch.clamp(x, -1.0, 1.0),
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    # F.softplus is linear above its threshold of 20, Keras's nowhere.
    "softplus": lambda x: F.softplus(x, threshold=700.0),
    "softsign": F.softsign,
    "silu": F.silu,
    "hard_silu": lambda x: x * F.relu6(x + 3.0) / 6.0,
    "gelu": gelu,
    "leaky_relu": lambda x: F.leaky_relu(x, r32(0.2)),
    "mish": F.mish,
    "exponential": torch.exp,
    "log_sigmoid": F.logsigmoid,
    "squareplus": squareplus,
    "tanh_shrink": F.tanhshrink,
}


def activation_function(name: str | None) -> Activation | None:
    """The function of that name, None for linear."""
    return None if name is None else ACTIVATIONS[name]
