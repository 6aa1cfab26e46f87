"""Activations, normalizations, attention and cross-entropies of keras.ops.nn in PyTorch (keras/src/ops/nn.py,
keras/src/backend/tensorflow/nn.py; semantics ledger, tables 3 and 4)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from harness.backends.pytorch.activations import activation_function, gelu, r32, relu
from harness.backends.pytorch.layers.operations import Operation


class Activated(Operation):
    """An activation function without arguments, by its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.activation = activation_function(name)

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.activation is None else self.activation(x)


class LeakyReLU(Operation):
    def __init__(self, negative_slope: float) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x, r32(self.negative_slope))


class ReLU(Operation):
    """keras.activations.relu, with a ceiling, a slope and a threshold."""

    def __init__(self, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> None:
        super().__init__()
        self.negative_slope, self.max_value, self.threshold = negative_slope, max_value, threshold

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return relu(x, self.max_value, self.negative_slope, self.threshold)


class ELU(Operation):
    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return F.elu(x) if self.alpha == 1 else torch.where(x > 0, F.elu(x), self.alpha * F.elu(x))


class CELU(Operation):
    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        # clamp passes the gradient on at its bound, as both branches do in TensorFlow.
        return x.clamp_min(0) + self.alpha * torch.expm1(x.clamp_max(0) / self.alpha)


class GELU(Operation):
    def __init__(self, approximate: bool = True) -> None:
        super().__init__()
        self.approximate = approximate

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        if not self.approximate:
            return gelu(x)
        if x.dtype != torch.float64:
            return F.gelu(x, approximate="tanh")
        # TensorFlow's 0.044715 is a float32 number.
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + r32(0.044715) * torch.pow(x, 3))))


class GLU(Operation):
    """The first half along an axis, by the sigmoid of the second."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return F.glu(x, self.axis)


class Shrink(Operation):
    """0 between -threshold and threshold; soft: what lies outside is moved by it."""

    def __init__(self, soft: bool, threshold: float = 0.5) -> None:
        super().__init__()
        self.soft, self.threshold = soft, threshold

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        if not self.soft:
            return torch.where(torch.abs(x) > self.threshold, x, torch.zeros_like(x))
        below = torch.where(x < -self.threshold, x + self.threshold, torch.zeros_like(x))
        return torch.where(x > self.threshold, x - self.threshold, below)


class Threshold(Operation):
    def __init__(self, threshold: float, default_value: float) -> None:
        super().__init__()
        self.threshold, self.default_value = threshold, default_value

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > self.threshold, x, self.default_value)


class Squareplus(Operation):
    def __init__(self, b: float = 4) -> None:
        super().__init__()
        self.b = b

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        return (x + torch.sqrt(torch.square(x) + self.b)) / 2


class Softmax(Operation):
    """Along an axis, of all values for None; log: its logarithm."""

    def __init__(self, axis: int | None = -1, log: bool = False) -> None:
        super().__init__()
        self.axis, self.log = axis, log

    def extra_repr(self) -> str:
        return f"axis={self.axis}"

    def pre_activation(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        function = torch.log_softmax if self.log else torch.softmax
        return function(x.flatten(), 0).reshape(x.shape) if self.axis is None else function(x, self.axis)


class Sparsemax(Operation):
    """As Keras 3.15.1 computes it: the threshold sums up all cumulative sums of the support."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis
        self.activation = activation_function("sparsemax")

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        assert self.activation is not None
        return self.activation(x.movedim(self.axis, -1)).movedim(-1, self.axis)


class Normalize(Operation):
    """x by its norm along axes, at most 1 / epsilon times x."""

    def __init__(self, axis: tuple[int, ...], order: int, epsilon: float) -> None:
        super().__init__()
        self.axis, self.order, self.epsilon = axis, order, epsilon

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        if self.order == 2:
            # Not the root of 0, clamped: its gradient is not a number.
            return x * torch.rsqrt(torch.square(x).sum(self.axis, True).clamp_min(self.epsilon**2))
        norm = torch.pow(torch.pow(torch.abs(x), self.order).sum(self.axis, True), 1.0 / self.order)
        return x / norm.clamp_min(self.epsilon)


class RMSNormalization(Operation):
    def __init__(self, axis: tuple[int, ...], epsilon: float, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axis, self.epsilon = axis, epsilon

    def compute(self, x: torch.Tensor, scale: Any = None) -> torch.Tensor:
        y = x * torch.rsqrt(torch.square(x).mean(self.axis, True) + self.epsilon)
        return y if scale is None else y * scale


class LayerNormalization(Operation):
    """rms_scaling: without the mean and without beta. spread: the scales have one place for each along the axes."""

    def __init__(
        self, axis: tuple[int, ...], epsilon: float, rms_scaling: bool = False, fixed: dict[int, Any] | None = None,
    ) -> None:
        super().__init__(fixed)
        self.axis, self.epsilon, self.rms_scaling = axis, epsilon, rms_scaling

    def compute(self, x: torch.Tensor, gamma: Any = None, beta: Any = None) -> torch.Tensor:
        gamma, beta = self._spread(gamma, x), self._spread(beta, x)
        inverse = torch.rsqrt(torch.var(x, self.axis, correction=0, keepdim=True) + self.epsilon)
        if self.rms_scaling:
            return x * inverse if gamma is None else x * inverse * gamma
        inverse = inverse if gamma is None else inverse * gamma
        rest = -x.mean(self.axis, True) * inverse
        return x * inverse + (rest if beta is None else rest + beta)

    def _spread(self, scale: Any, x: torch.Tensor) -> Any:
        if scale is None or scale.dim() == x.dim() or self.axis == (x.dim() - 1,):
            return scale
        return scale.reshape([x.shape[axis] if axis in self.axis else 1 for axis in range(x.dim())])


class BatchNormalization(Operation):
    """With given means and variances, one for each place along the axis."""

    def __init__(self, axis: int, epsilon: float, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.axis, self.epsilon = axis, epsilon

    def compute(self, x: torch.Tensor, mean: Any, variance: Any, offset: Any = None, scale: Any = None) -> torch.Tensor:
        if self.axis != -1:
            shape = [mean.shape[0] if axis == self.axis % x.dim() else 1 for axis in range(x.dim())]
            mean, variance, offset, scale = (None if item is None else item.reshape(shape)
                                             for item in (mean, variance, offset, scale))
        inverse = torch.rsqrt(variance + self.epsilon)
        inverse = inverse if scale is None else inverse * scale
        return x * inverse + ((-mean * inverse) if offset is None else offset - mean * inverse)


class Attention(Operation):
    """query, key, value (batch, steps, heads, features), bias and mask (batch, heads, steps, steps)."""

    def __init__(self, is_causal: bool = False, fixed: dict[int, Any] | None = None) -> None:
        super().__init__(fixed)
        self.is_causal = is_causal

    def compute(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: Any = None, mask: Any = None,
        scale: Any = None,
    ) -> torch.Tensor:
        # Keras computes its own scale in float32, and rounds one that it is given.
        scale = r32(1.0 / r32(math.sqrt(key.shape[-1]))) if scale is None else scale
        scale = r32(scale) if isinstance(scale, float) else scale
        logits = torch.einsum("btnh,bsnh->bnts", query, key) * scale
        logits = logits if bias is None else logits + bias
        if self.is_causal:
            causal = torch.ones(logits.shape[2:], dtype=torch.bool, device=logits.device).tril()
            mask = causal if mask is None else causal & mask
        if mask is not None:
            large = 65500.0 if logits.dtype == torch.float16 else 3.38953e38
            logits = torch.where(mask, logits, large * -0.7)
        return torch.einsum("bnts,bsnh->btnh", torch.softmax(logits, -1), value)


NAMED = ("relu", "relu6", "sigmoid", "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "selu", "silu",
         "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "tanh_shrink")

BUILDERS: dict[str, tuple[type[Operation], dict[str, Any]]] = {
    **{name: (Activated, {"name": name}) for name in NAMED},
    "elu": (ELU, {}), "celu": (CELU, {}), "gelu": (GELU, {}), "glu": (GLU, {}), "threshold": (Threshold, {}),
    "hard_shrink": (Shrink, {"soft": False}), "soft_shrink": (Shrink, {"soft": True}), "leaky_relu": (LeakyReLU, {}),
    "squareplus": (Squareplus, {}), "softmax": (Softmax, {}), "log_softmax": (Softmax, {"log": True}),
    "sparsemax": (Sparsemax, {}), "activations.relu": (ReLU, {}),
}
