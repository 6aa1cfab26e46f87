"""What a layer's output is under each mistake that is known of its kind: (key, cause, mend, output)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.certify.ports.formulas import attention, gru, layer_normalized, lstm

Arrays = Mapping[str, np.ndarray]
RESET = ("Keras's GRU (reset_after=False) resets the state before the recurrent kernel, torch's after it",
          "use reset_after=True in Keras (its default), or a GRU of your own in the port")
Formula = tuple[str, str, str, np.ndarray]


def no_formulas(layer: Any, feeds: Sequence[np.ndarray], weights: Arrays) -> Iterator[Formula]:
    yield from ()


def _dense_formulas(layer: Any, feeds: Sequence[np.ndarray], weights: Arrays) -> Iterator[Formula]:
    x, kernel = feeds[0], weights["kernel"]
    bias = weights.get("bias", np.zeros(kernel.shape[1]))
    if kernel.shape[0] == kernel.shape[1]:
        yield ("transposed kernel", "the square kernel stands untransposed in the port: torch's Linear has (outputs, "
               "inputs), Keras's Dense (inputs, outputs)", "transpose it when it is loaded", x @ kernel.T + bias)
    yield "missing bias", "the port adds no bias", "add it", x @ kernel
    yield "doubled bias", "the port adds the bias twice", "add it once", x @ kernel + 2 * bias


def _lstm_formulas(layer: Any, feeds: Sequence[np.ndarray], weights: Arrays) -> Iterator[Formula]:
    x, kernel, recurrent = feeds[0], weights["kernel"], weights["recurrent_kernel"]
    bias = weights.get("bias", np.zeros(kernel.shape[1]))
    names = ("input", "forget", "candidate", "output")
    for order in itertools.permutations(range(4)):
        read = {index: gate for gate, index in zip(names, order, strict=True)}
        yield ("LSTM gate order", f"the port reads the blocks of the kernel as {', '.join(read[i] for i in range(4))}; "
               f"Keras has {', '.join(names)}", "read them in Keras's order, or permute them when they are loaded",
               lstm(x, kernel, recurrent, bias, order))
    yield "doubled bias", "the port adds the bias twice", "keep one of torch's two biases at 0", lstm(
        x, kernel, recurrent, 2 * bias)
    yield "missing bias", "the port adds no bias", "add it", lstm(x, kernel, recurrent, 0 * bias)


def _gru_formulas(layer: Any, feeds: Sequence[np.ndarray], weights: Arrays) -> Iterator[Formula]:
    x, kernel, recurrent = feeds[0], weights["kernel"], weights["recurrent_kernel"]
    bias = weights.get("bias", np.zeros(kernel.shape[1]))
    other = gru(x, kernel, recurrent, bias, reset_after=not layer.reset_after)
    yield ("GRU reset form", *(RESET if not layer.reset_after else (
        "the port's GRU resets the state before the recurrent kernel, Keras's (reset_after=True) after it",
        "apply the reset gate to the product")), other)
    for order in itertools.permutations(range(3)):
        yield ("GRU gate order", "the port reads the gates in another order than Keras (update, reset, candidate)",
               "read them in Keras's order, or permute them when they are loaded",
               gru(x, kernel, recurrent, bias, reset_after=layer.reset_after, order=order))


def _attention_formulas(layer: Any, feeds: Sequence[np.ndarray], weights: Arrays) -> Iterator[Formula]:
    if len(feeds) < 2 or feeds[0].ndim != 3:
        return
    query, value, key = feeds[0], feeds[1], feeds[2] if len(feeds) > 2 else feeds[1]
    size, heads = layer.key_dim, layer.num_heads
    right = size**-0.5
    for scale, text in ((1.0, "does not scale the scores"), (1 / size, "divides the scores by the size of a head"),
                        ((size * heads) ** -0.5, "divides the scores by the root of all heads' size"),
                        (query.shape[-1] ** -0.5, "divides the scores by the root of the features"),
                        (size**0.5, "multiplies the scores by the root of a head's size")):
        yield ("attention scale", f"the port {text}; Keras divides them by the root of a head's size ({size})",
               f"multiply the scores by {size}**-0.5", attention(query, value, key, dict(weights), scale))
    yield ("causal mask", "the port masks what comes later, Keras does not here", "leave the mask out",
           attention(query, value, key, dict(weights), right, causal=True))
    yield ("causal mask", "the port does not mask what comes later, Keras does here", "give the mask",
           attention(query, value, key, dict(weights), right))
    yield ("softmax axis", "the port takes attention's softmax over the queries", "take it over the keys",
           attention(query, value, key, dict(weights), right, axis=-2))


def _layer_norm_formulas(layer: Any, feeds: Sequence[np.ndarray], weights: Arrays) -> Iterator[Formula]:
    x = feeds[0]
    gamma, beta = weights.get("gamma", np.ones(x.shape[-1])), weights.get("beta", np.zeros(x.shape[-1]))
    for epsilon in (1e-5, 1e-6, 1e-8, 1e-12, 1e-3):
        yield ("epsilon", f"epsilon is {epsilon:g} in the port and {layer.epsilon:g} in Keras",
               f"set it to {layer.epsilon:g}", layer_normalized(x, gamma, beta, epsilon))
    for epsilon in (layer.epsilon, 1e-5, 1e-6):
        yield ("epsilon outside the root", "epsilon stands beside the root in the port, inside it in Keras",
               "write sqrt(variance + epsilon)", layer_normalized(x, gamma, beta, epsilon, outside=True))
        yield ("unbiased variance", "the port divides the variance by n - 1, Keras by n", "use unbiased=False",
               layer_normalized(x, gamma, beta, epsilon, unbiased=True))
        yield ("unbiased variance", "the port divides the variance by n - 1, Keras by n, and adds epsilon outside the "
               "root", "use unbiased=False", layer_normalized(x, gamma, beta, epsilon, outside=True, unbiased=True))


FORMULAS: dict[str, Callable[[Any, Sequence[np.ndarray], Arrays], Iterator[Formula]]] = {
    "Dense": _dense_formulas, "LSTM": _lstm_formulas, "GRU": _gru_formulas,
    "MultiHeadAttention": _attention_formulas, "LayerNormalization": _layer_norm_formulas,
}
