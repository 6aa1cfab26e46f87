"""Mistakes inside LSTM and GRU: their equations in NumPy, with the mistakes that ports make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
from scipy.special import expit

from harness.certify.causes.evidence import Cause, Evidence, Signature, close

Weights = Mapping[str, np.ndarray]
GATES = {"LSTM": ("input", "forget", "cell", "output"), "GRU": ("update", "reset", "candidate")}


def lstm(
    x: np.ndarray, w: Weights, order: tuple[int, ...] = (0, 1, 2, 3), bias: float = 1.0, forget: float = 0.0,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """[batch, time, units] of keras/src/layers/rnn/lstm.py. order: where the gates input, forget, cell and output
    are found in the kernels; forget: what is added to that gate."""
    h = c = np.zeros((len(x), w["recurrent_kernel"].shape[0]))
    steps = []
    seen = _seen(x, mask)
    for t in range(x.shape[1]):
        parts = np.split(x[:, t] @ w["kernel"] + h @ w["recurrent_kernel"] + bias * w["bias"], 4, axis=-1)
        i, f, g, o = (parts[index] for index in order)
        new = expit(f + forget) * c + expit(i) * np.tanh(g)
        c, h = np.where(seen[:, t], new, c), np.where(seen[:, t], expit(o) * np.tanh(new), h)
        steps.append(h)
    return np.stack(steps, 1)


def gru(
    x: np.ndarray, w: Weights, order: tuple[int, ...] = (0, 1, 2), bias: float = 1.0, reset_after: bool = True,
    swapped: bool = False, mask: np.ndarray | None = None,
) -> np.ndarray:
    """[batch, time, units] of keras/src/layers/rnn/gru.py. order: where the gates update, reset and candidate are
    found; swapped: the update gate keeps the new value and not the old one."""
    given = np.atleast_2d(w["bias"])
    outer, inner = (bias * given[0], bias * given[1] if len(given) > 1 else np.zeros_like(given[0]))
    recurrent = w["recurrent_kernel"]
    h = np.zeros((len(x), recurrent.shape[0]))
    steps = []
    seen = _seen(x, mask)
    for t in range(x.shape[1]):
        of_x = np.split(x[:, t] @ w["kernel"] + outer, 3, axis=-1)
        of_h = np.split(h @ recurrent + inner, 3, axis=-1)
        z, r = (expit(of_x[index] + of_h[index]) for index in order[:2])
        last = order[2]
        if reset_after:
            n = np.tanh(of_x[last] + r * of_h[last])
        else:
            n = np.tanh(of_x[last] + (r * h) @ np.split(recurrent, 3, axis=-1)[last] + np.split(inner, 3)[last])
        keep = 1 - z if swapped else z
        h = np.where(seen[:, t], keep * h + (1 - keep) * n, h)
        steps.append(h)
    return np.stack(steps, 1)


def _seen(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """bool [batch, time, 1]: the steps that count; the others leave state and output as they are."""
    return np.ones((*x.shape[:2], 1), bool) if mask is None else mask[..., None]


def _mask(evidence: Evidence, x: np.ndarray) -> np.ndarray | None:
    """The mask of a sequence that a Masking layer hands on."""
    before = next((node for node in evidence.plan.spec.nodes if node.name == evidence.node.inputs[0]), None)
    layer: Any = None if before is None else evidence.plan.spec.layers[before.layer]
    if layer is None or layer.canonical_name() != "Masking":
        return None
    return np.asarray((x != layer.mask_value).any(-1))


def equations(evidence: Evidence) -> Cause | None:
    """The outputs of the deviant side by the equations with one of the known mistakes."""
    layer = evidence.layer
    kind = layer.canonical_name()
    if kind not in GATES or not layer.use_bias or len(evidence.node.inputs) > 1:
        return None
    x = evidence.inputs()[0]
    w = {role: evidence.weight(role) for role in ("kernel", "recurrent_kernel", "bias")}
    name = f"output {evidence.node.name}"
    for title, deviant, sound in evidence.sides(forced=True):
        given = x[:, ::-1] if layer.go_backwards else x
        mask = _mask(evidence, given)
        if not close(_last(layer, _declared(kind, layer)(given, w, mask=mask)), sound[name], 1e-9):
            continue
        for what, mend, function in _mistakes(kind, layer):
            if close(_last(layer, function(given, w, mask=mask)), deviant[name], 1e-9):
                return Cause(f"{what} in {title}", mend)
        if layer.go_backwards and close(_last(layer, _declared(kind, layer)(x, w, mask=mask)), deviant[name], 1e-9):
            return Cause(f"{title} reads the sequence forwards", "Reverse the sequence: go_backwards=True.")
    return None


def _last(layer: Any, sequence: np.ndarray) -> np.ndarray:
    return sequence if layer.return_sequences else sequence[:, -1]


def _declared(kind: str, layer: Any) -> Callable[..., np.ndarray]:
    return lstm if kind == "LSTM" else partial(gru, reset_after=layer.reset_after)


def _mistakes(kind: str, layer: Any) -> Iterator[tuple[str, str, Callable[..., np.ndarray]]]:
    gates, cell = GATES[kind], lstm if kind == "LSTM" else gru
    own: dict[str, Any] = {} if kind == "LSTM" else {"reset_after": layer.reset_after}
    yield ("the bias is counted twice", "torch has two biases, bias_ih and bias_hh: put Keras's into one, zeros into "
           "the other.", partial(cell, bias=2.0, **own))
    yield "the bias is left out", "Copy the bias.", partial(cell, bias=0.0, **own)
    for order in permutations(range(len(gates))):
        found = ", ".join(gates[index] for index in order)
        yield (f"the gates stand in another order (where {', '.join(gates)} are looked for: {found})",
               "Keras has i f c o and z r h; torch i f g o and r z n: reorder kernels and biases.",
               partial(cell, order=order, **own))
    if kind == "LSTM":
        for sign in (1.0, -1.0):
            yield (f"the forget gate has {sign:+.0f} added to its bias", "unit_forget_bias is an initial value, not "
                   "a part of the equation.", partial(lstm, forget=sign))
        return
    yield (f"reset_after is {not layer.reset_after}", "torch's GRU is reset_after=True: the reset gate multiplies the "
           "product with the recurrent kernel.", partial(gru, reset_after=not layer.reset_after))
    yield ("the update gate keeps the new state, not the old one", "h = z h + (1 - z) n in Keras and in torch.",
           partial(gru, swapped=True, **own))


SIGNATURES: tuple[Signature, ...] = (equations,)
