"""What common mistakes compute, in NumPy: a port whose numbers these are has made them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Array = np.ndarray
Function = Callable[[Array], Array]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array, axis: int = -1) -> Array:
    shifted = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis, keepdims=True))


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x) if x.size else x


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + _erf(x / np.sqrt(2))))


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))


def leaky(slope: float) -> Function:
    return lambda x: np.where(x >= 0, x, slope * x)


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


# Under the words in which a finding tells them.
FUNCTIONS: dict[str, Function] = {
    "no activation": lambda x: x, "relu": lambda x: np.maximum(x, 0), "gelu (exact)": _gelu,
    "gelu (tanh approximation)": _gelu_tanh, "tanh": np.tanh, "sigmoid": sigmoid, "softmax": softmax,
    "silu": lambda x: x * sigmoid(x), "elu": _elu, "softplus": lambda x: np.logaddexp(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6), "log_softmax": lambda x: np.log(softmax(x)),
    "softsign": lambda x: x / (1 + np.abs(x)), "quick gelu": lambda x: x * sigmoid(1.702 * x),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1), "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "softmax over the batch": lambda x: softmax(x, 0),
    "softmax over axis 1": lambda x: softmax(x, 1),
}


def close(ours: Array, theirs: Array, tolerance: float = 1e-7) -> bool:
    """Whether two arrays are the same but for rounding."""
    if ours.shape != theirs.shape or not ours.size:
        return False
    scale = float(np.abs(theirs).max(initial=0.0)) or 1.0
    return bool(np.abs(ours - theirs).max() <= tolerance * scale)


def factor(ours: Array, theirs: Array, tolerance: float = 1e-7) -> float | None:
    """c with ours = c * theirs everywhere, None where there is none."""
    square = float(np.vdot(theirs, theirs).real) if ours.shape == theirs.shape else 0.0
    if not square:
        return None
    found = float(np.vdot(theirs, ours).real) / square
    return found if found and close(ours, found * theirs, tolerance * abs(found)) else None


def lstm(x: Array, kernel: Array, recurrent: Array, bias: Array, order: Sequence[int] = (0, 1, 2, 3)) -> Array:
    """All steps [batch, steps, units]; order: which block is read as input gate, forget gate, candidate, output."""
    size = recurrent.shape[0]
    h = c = np.zeros((len(x), size))
    steps = []
    for step in range(x.shape[1]):
        blocks = np.split(x[:, step] @ kernel + h @ recurrent + bias, 4, -1)
        i, f, g, o = (blocks[index] for index in order)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        steps.append(h)
    return np.stack(steps, 1)


def gru(x: Array, kernel: Array, recurrent: Array, bias: Array, *, reset_after: bool,
        order: Sequence[int] = (0, 1, 2)) -> Array:
    """All steps; bias (3u,) or (2, 3u); order: which block is read as update gate, reset gate, candidate."""
    first, second = (bias, np.zeros_like(bias)) if bias.ndim == 1 else bias
    h = np.zeros((len(x), recurrent.shape[0]))
    steps = []
    candidates = np.split(recurrent, 3, -1)[order[2]], np.split(second, 3)[order[2]]
    for step in range(x.shape[1]):
        given = np.split(x[:, step] @ kernel + first, 3, -1)
        own = np.split(h @ recurrent + second, 3, -1)
        z, r = (sigmoid(given[index] + own[index]) for index in order[:2])
        inner = r * own[order[2]] if reset_after else (r * h) @ candidates[0] + candidates[1]
        h = z * h + (1 - z) * np.tanh(given[order[2]] + inner)
        steps.append(h)
    return np.stack(steps, 1)


def attention(query: Array, value: Array, key: Array, weights: dict[str, Array], scale: float, *,
              causal: bool = False, axis: int = -1) -> Array:
    """Keras's MultiHeadAttention with another scale of the scores, mask, or axis of the softmax."""
    q, k, v = (np.einsum("btd,dhk->bthk", x, weights[f"{name}/kernel"]) + weights.get(f"{name}/bias", 0.0)
               for x, name in ((query, "query"), (key, "key"), (value, "value")))
    scores = np.einsum("bthk,bshk->bhts", q, k) * scale
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    mixed = np.einsum("bhts,bshk->bthk", softmax(scores, axis), v)
    out = np.einsum("bthk,hkd->btd", mixed, weights["attention_output/kernel"])
    return np.asarray(out + weights.get("attention_output/bias", 0.0))


def layer_normalized(x: Array, gamma: Array, beta: Array, epsilon: float, *, outside: bool = False,
                     unbiased: bool = False) -> Array:
    """Over the last axis; outside: epsilon beside the root; unbiased: the variance divided by n - 1."""
    mean = x.mean(-1, keepdims=True)
    variance = x.var(-1, keepdims=True, ddof=1 if unbiased else 0)
    below = np.sqrt(variance) + epsilon if outside else np.sqrt(variance + epsilon)
    return np.asarray((x - mean) / below * gamma + beta)
