"""Keras's activation functions in PyTorch (semantics ledger, table 4).

`r32(c)` marks constants that TensorFlow rounds to float32 even in float64 training.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)

Activation = Callable[[torch.Tensor], torch.Tensor]


def r32(value: float) -> float:
    """The value rounded to float32."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


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


def sparse_plus(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x <= -1, torch.zeros_like(x), torch.where(x < 1, 0.25 * (x + 1).square(), x))


def sparse_sigmoid(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x <= -1, torch.zeros_like(x), torch.where(x >= 1, torch.ones_like(x), 0.5 * (x + 1)))


def sparsemax(x: torch.Tensor) -> torch.Tensor:
    """As Keras 3.15.1 computes it (backend/tensorflow/nn.py): the threshold sums up all cumulative sums of the
    support, so that the values do not add up to 1."""
    ordered, _ = x.sort(dim=-1, descending=True)
    sums = ordered.cumsum(-1)
    support = ordered - (sums - 1) / torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device) > 0
    within = torch.where(support, sums, torch.zeros_like(sums)).sum(-1, keepdim=True)
    return (x - (within - 1) / support.sum(-1, keepdim=True).to(x.dtype)).clamp_min(0)


def relu(
    x: torch.Tensor, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0,
    inplace: bool = False,
) -> torch.Tensor:
    """keras/src/activations/activations.py: relu with a ceiling, a slope and a threshold.

    inplace: into the memory of x, for relu, leaky relu and relu6; the others need x for longer.
    """
    if threshold == 0:
        if max_value is None:
            return F.leaky_relu(x, r32(negative_slope), inplace) if negative_slope else F.relu(x, inplace)
        # At the ceiling relu6's gradient is 0 and that of every other ceiling 1.
        y = F.relu6(x, inplace and not negative_slope) if max_value == 6 else torch.relu(x).clamp(0.0, r32(max_value))
    else:
        y = torch.where(x > r32(threshold), x, torch.zeros_like(x))
        y = y if max_value is None else y.clamp(0.0, r32(max_value))
    # In the slope's part Keras's threshold is not rounded to float32.
    return y - negative_slope * torch.relu(threshold - x) if negative_slope else y


def leaky_relu(x: torch.Tensor, negative_slope: float = 0.3) -> torch.Tensor:
    """With the default of Keras's layer; its function's is 0.2."""
    return F.leaky_relu(x, r32(negative_slope))


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
    "softplus": lambda x: F.softplus(x, threshold=40.0),
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
    "soft_shrink": F.softshrink,
    "hard_shrink": F.hardshrink,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "sparsemax": sparsemax,
}
# Those that torch also writes over their input, with the same values.
IN_PLACE: dict[str, Activation] = {
    "relu": torch.relu_,
    "relu6": functools.partial(F.relu6, inplace=True),
    "elu": functools.partial(F.elu, inplace=True),
    "sigmoid": torch.sigmoid_,
    "tanh": torch.tanh_,
    "silu": functools.partial(F.silu, inplace=True),
    "leaky_relu": lambda x: F.leaky_relu(x, r32(0.2), inplace=True),
    "mish": functools.partial(F.mish, inplace=True),
    "exponential": torch.exp_,
}
# What the layers do that stand in for an activation.
OF_LAYERS: dict[str, Callable[..., torch.Tensor]] = {"ReLU": relu, "LeakyReLU": leaky_relu, "ELU": F.elu}


# Those whose backward pass takes the result, with the same bits: they write over their input with a gradient too.
BY_RESULT = frozenset({"relu", "relu6", "sigmoid", "tanh", "leaky_relu", "exponential"})


def written_over(name: str, x: torch.Tensor) -> torch.Tensor:
    """The activation of that name, in the memory of x."""
    return in_memory_of(x, IN_PLACE[name], ACTIVATIONS[name])


def written_over_without_gradient(name: str, x: torch.Tensor) -> torch.Tensor:
    """The same, in memory of its own where a gradient is asked for."""
    return (ACTIVATIONS if torch.is_grad_enabled() else IN_PLACE)[name](x)


def in_memory_of(
    x: torch.Tensor, write: Callable[..., torch.Tensor], compute: Callable[..., torch.Tensor], *others: torch.Tensor,
) -> torch.Tensor:
    """write(x, *others), which overwrites x, or compute(x, *others), which does not, where that is cheaper.

    Where a gradient is asked for, autograd copies whole tensors if a view is overwritten. A view whose channels were
    moved to the end, and no more, as behind a convolution, is overwritten as it was before that; any other stays.
    """
    if not torch.is_grad_enabled():
        return write(x, *others)
    if x.is_leaf or torch.compiler.is_compiling():
        return compute(x, *others)
    if x._base is None:
        return write(x, *others)
    first = _before_channels_moved(x)
    if first is None:
        return compute(x, *others)
    rest = [before if (before := _before_channels_moved(other)) is not None else other.movedim(-1, 1)
            for other in others]  # not moved back where it can be helped: gradients of views are not added up in place
    return write(first, *rest).movedim(1, -1)


def _before_channels_moved(x: torch.Tensor) -> torch.Tensor | None:
    """The tensor of which x is `movedim(1, -1)`, None if x is something else, or if somebody watches its gradient."""
    base = x._base
    if base is None or base.dim() < 3 or x.storage_offset() != base.storage_offset():
        return None
    if x.grad_fn is None or x.retains_grad or x._backward_hooks or x.grad_fn.next_functions[0][0] is not base.grad_fn:
        return None
    moved = base.movedim(1, -1)
    return base if moved.shape == x.shape and moved.stride() == x.stride() else None


def activation_function(
    name: str | dict[str, Any] | None, inplace: bool = False, inplace_training: bool = False,
) -> Activation | None:
    """The function of that name, or of {layer: {arguments}}; None for linear. inplace: it may write over its input;
    inplace_training: also where a gradient is asked for."""
    if isinstance(name, dict):
        ((layer, arguments),) = name.items()
        return functools.partial(OF_LAYERS[layer], **arguments)
    if inplace_training and name in BY_RESULT:
        return functools.partial(written_over, name)
    if inplace and name in IN_PLACE:
        return functools.partial(written_over_without_gradient, name)
    return None if name is None else ACTIVATIONS[name]
