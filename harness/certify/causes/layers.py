"""Mistakes inside a layer, seen in what it makes of the same tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.special import erf, expit, softmax

from harness.certify.causes.evidence import CLOSE, Cause, Evidence, Signature, close, factor, number, outputs_of

Function = Callable[[np.ndarray], np.ndarray]
GELU_TANH = np.sqrt(2.0 / np.pi)

ACTIVATIONS: dict[str, Function] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "gelu": lambda x: x * 0.5 * (1 + erf(x / np.sqrt(2.0))),
    "gelu (tanh approximation)": lambda x: 0.5 * x * (1 + np.tanh(GELU_TANH * (x + 0.044715 * x**3))),
    "sigmoid": expit,
    "tanh": np.tanh,
    "silu": lambda x: x * expit(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(x, 0),
    "hard_sigmoid (x / 6 + 0.5)": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_sigmoid (0.2 x + 0.5)": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    **{f"softmax along axis {axis}": partial(softmax, axis=axis) for axis in (-1, 1, 0, 2)},
}


def other_activation(evidence: Evidence) -> Cause | None:
    """The right pre-activation, another function behind it."""
    given = _pre_activation(evidence)
    if given is None:
        return None
    for title, deviant, sound in outputs_of(evidence, "output"):
        fits, wanted = _fitting(given, deviant), _fitting(given, sound)
        slope, own = _slope(given, deviant), _slope(given, sound)
        declared = float(getattr(evidence.layer, "negative_slope", 0.0))
        if slope is not None and own is not None and abs(slope - own) > 1e-6 and abs(own - declared) < 1e-6:
            return Cause(f"the slope below zero is {number(slope)} in {title} and {number(own)} in the model",
                         f"Set negative_slope={own:g}: torch's LeakyReLU has 0.01, Keras's 0.3.")
        if fits and wanted and fits != wanted and wanted.split(" ")[0] == _declared(evidence.layer):
            return Cause(f"{title} computes {fits} where the model has {wanted}", f"Use {wanted}.")
    return None


def _declared(layer: Any) -> str:
    """The name of the layer's activation."""
    kind = str(layer.canonical_name()).removeprefix("ops.")
    return str(getattr(layer, "activation", None) or ("linear" if kind == "Dense" else kind.lower()))


def _fitting(given: np.ndarray, found: np.ndarray) -> str | None:
    """The activation that fits best, if one does: Keras rounds the constants of some to float32."""
    errors = {}
    for name, function in ACTIVATIONS.items():
        with contextlib.suppress(np.exceptions.AxisError, ValueError):
            errors[name] = float(np.max(np.abs(function(given) - found)))
    best = min(errors, key=lambda name: errors[name])
    return best if errors[best] <= CLOSE * float(np.max(np.abs(found))) else None


def _slope(given: np.ndarray, found: np.ndarray) -> float | None:
    below = given < 0
    if not below.any() or not close(found[~below], given[~below], 1e-9):
        return None
    slope = factor(found[below], given[below], 1e-9)
    return slope if slope is not None else (0.0 if not found[below].any() else None)


def _pre_activation(evidence: Evidence) -> np.ndarray | None:
    """What the layer's activation is applied to: its input, or that times a Dense kernel."""
    layer, x = evidence.layer, evidence.inputs()[0]
    kind = layer.canonical_name()
    if kind in ("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "ops.gelu", "ops.relu", "ops.softmax"):
        return x
    if kind != "Dense":
        return None
    product = x @ evidence.weight("kernel")
    return np.asarray(product + evidence.weight("bias") if layer.use_bias else product)


def dense_with_other_kernel(evidence: Evidence) -> Cause | None:
    """A Dense layer that uses its kernel transposed, or has no bias."""
    layer = evidence.layer
    if layer.canonical_name() != "Dense":
        return None
    x, kernel = evidence.inputs()[0], evidence.weight("kernel")
    bias = evidence.weight("bias") if layer.use_bias else np.zeros(())
    act = ACTIVATIONS.get({None: "linear", "softmax": "softmax along axis -1"}.get(
        layer.activation, str(layer.activation)), ACTIVATIONS["linear"])
    for title, deviant, _ in outputs_of(evidence, "output"):
        if kernel.shape[0] == kernel.shape[1] and close(deviant, act(x @ kernel.T + bias)):
            return Cause(f"{title} uses the kernel transposed",
                         "A kernel is (in, out) in Keras and (out, in) in torch: transpose square ones as well.")
        if layer.use_bias and bias.any() and close(deviant, act(x @ kernel)):
            return Cause(f"{title} leaves the bias out", "Add the bias.")
    return None


def same_numbers(evidence: Evidence) -> Cause | None:
    """The right numbers in other places: reordered, mirrored, shifted by one."""
    for title, deviant, sound in outputs_of(evidence, "output"):
        if deviant.shape != sound.shape:
            return Cause(f"the output has the shape {deviant.shape} in {title}, {sound.shape} in the other",
                         "Look at padding, strides and the order of axes.")
        for axis in range(1, sound.ndim):
            if close(deviant, np.flip(sound, axis), 1e-9):
                return Cause(f"the output of {title} is mirrored along axis {axis}", "Look at go_backwards, and at "
                             "the direction in which a reversed sequence is handed on.")
            for shift in (1, -1):
                moved = np.roll(sound, shift, axis)
                keep = [slice(None)] * sound.ndim
                keep[axis] = slice(1, None) if shift > 0 else slice(None, -1)
                if sound.shape[axis] > 2 and close(deviant[tuple(keep)], moved[tuple(keep)], 1e-9):
                    return Cause(f"the output of {title} is shifted by one along axis {axis}",
                                 "Look at the padding's side, or at a mask that is off by one.")
        rows = sound.reshape(len(sound), -1)
        if rows.shape[1] > 1 and close(np.sort(deviant.reshape(rows.shape), 1), np.sort(rows, 1), 1e-9):
            return Cause(f"{title} has the right numbers in another order: axes are flattened, split or joined "
                         "in another order", "Keras flattens (height, width, channels), torch (channels, height, "
                         "width): permute first.")
    return None


def padding(evidence: Evidence) -> Cause | None:
    """Differences at the borders alone, or of a strided layer with `same` padding."""
    layer = evidence.layer
    where = str(getattr(layer, "padding", ""))
    strides = getattr(layer, "strides", None) or getattr(layer, "pool_size", 1)
    strided = any(step > 1 for step in (strides if isinstance(strides, (list, tuple)) else (strides,)))
    for title, deviant, sound in outputs_of(evidence, "output"):
        if deviant.shape != sound.shape or sound.ndim < 3:
            return None
        unlike = np.abs(deviant - sound) > 1e-9 * np.abs(sound).max()
        space = unlike.any(axis=(0, -1))
        inner = space[tuple(slice(1, -1) for _ in range(space.ndim))]
        at_borders = bool(space.any()) and not inner.any() and inner.size > 0
        if "Average" in layer.canonical_name() and at_borders:
            return Cause(f"{title} counts the padding in the mean (only borders differ)",
                         "Divide by the elements inside the image: count_include_pad=False.")
        if at_borders:
            return Cause(f"only the borders differ: {title} pads with other values or on other sides",
                         "Look at the padding.")
        if "Max" in layer.canonical_name() and where == "same":
            return Cause(f"{title} pads with other values or on other sides", "Keras pads maxima with -infinity, and "
                         "`same` adds the odd row and column at the end.")
        if where == "same" and strided:
            return Cause(f"{title} pads on other sides: with strides, `same` adds the odd row and column at the end "
                         "in Keras, torch's padding= adds the same on both sides",
                         "Pad explicitly before a layer without padding: (total // 2, total - total // 2).")
    return None


def some_rows(evidence: Evidence) -> Cause | None:
    """An Embedding in which the row of one id is another."""
    if evidence.layer.canonical_name() != "Embedding":
        return None
    ids = evidence.inputs()[0].astype(int)
    for title, deviant, sound in outputs_of(evidence, "output"):
        unlike = (np.abs(deviant - sound) > 0).any(-1)
        odd = np.unique(ids[unlike])
        if len(odd) == 1:
            zero = not deviant[unlike].any()
            return Cause(f"only id {odd[0]} has another row in {title}" + (": it is zero" if zero else ""),
                         "torch's padding_idx keeps a row at zero and untrained; Keras's mask_zero does not.")
    return None


def scaled_output(evidence: Evidence) -> Cause | None:
    """The output times a number; a layer that drops has its own reason."""
    for title, deviant, sound in outputs_of(evidence, "output"):
        c = factor(deviant, sound, 1e-9)
        rate = getattr(evidence.layer, "rate", None)
        if c is not None and rate:
            return Cause(f"{title} scales what it keeps by {number(c)} of what it should ({1 / (1 - rate):.4g})",
                         "Divide what is kept by 1 - rate while training, and leave inference alone.")
        if c is not None:
            return Cause(f"the output of {title} is {number(c)} times the other's", "Look at scales and at means "
                         "against sums.")
        if rate and deviant.shape == sound.shape and ((deviant == 0) != (sound == 0)).any():
            return Cause(f"{title} drops other elements", "Draw the mask from the tape's key of that call.")
    return None


def inactive_or_extra(evidence: Evidence) -> Cause | None:
    """Inference in which something random, or nothing at all, is done."""
    name = evidence.layer.canonical_name()
    if not evidence.layer.stochastic:
        return None
    x = evidence.inputs()[0]
    for title, deviant, sound in outputs_of(evidence, "inference"):
        if close(sound, x, 1e-9) and not close(deviant, x, 1e-9):
            return Cause(f"{name} is active when {title} only predicts", "Call .eval() before predicting.")
    return None


FORWARD: tuple[Signature, ...] = (other_activation, dense_with_other_kernel, some_rows,
                                  same_numbers, scaled_output, padding)
INFERENCE: tuple[Signature, ...] = (inactive_or_extra,)


def stopped_gradient(evidence: Evidence) -> Cause | None:
    """A gradient that is zero, or scaled, where the forward pass agrees."""
    name = evidence.finding.what
    forced = not name.startswith("gradient ") and evidence.finding.rung == "R1"
    for title, deviant, sound in evidence.sides(forced=forced):
        a, b = deviant[name], sound[name]
        if not np.any(a) and np.any(b):
            return Cause(f"no gradient passes in {title}", "Look for detach(), no_grad() or stop_gradient().")
        c = factor(a, b)
        if c is not None:
            return Cause(f"the gradient of {title} is {number(c)} times the other's",
                         "Look for a loss that is summed and not averaged, or a scale that is undone in one only.")
    return None


BACKWARD: tuple[Signature, ...] = (stopped_gradient,)
