"""Why a port differs, in plain language: known mistakes are computed, and named where they give the port's numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.certify.ports.alternatives import alternatives, propagate
from harness.certify.ports.checks import Check, Gap
from harness.certify.ports.formulas import FUNCTIONS, close, factor, leaky
from harness.certify.ports.layer_mistakes import FORMULAS, RESET, no_formulas
from harness.certify.ports.rules import TorchUnit
from harness.certify.ports.settings import expected_settings, shown_settings
from harness.spec.model import ModelSpec, Node

Arrays = Mapping[str, np.ndarray]
# Runs the module of a call once more with attributes changed: (call, attributes, training) -> its outputs, buffers.
Again = Callable[..., Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class PortCause:
    """key: short and fixed ("flatten order"), what `accept` names. layer: where it is, if not where it was seen."""

    key: str
    cause: str
    mend: str
    layer: str | None = None
    suspects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What a cause is looked for in. teacher: all arrays of Keras's trace. units: layer -> module. weights: Keras's."""

    spec: ModelSpec
    teacher: Arrays
    units: Mapping[str, TorchUnit]
    weights: Mapping[str, np.ndarray]
    again: Again

    def tensors(self, kind: str) -> dict[str, np.ndarray]:
        """Every tensor of the pass, by reference."""
        prefix = f"{kind} "
        return {name.removeprefix(prefix): array for name, array in self.teacher.items() if name.startswith(prefix)}


def cause_of(check: Check, evidence: Evidence) -> PortCause | None:
    """The cause of a failed check, None where no known mistake gives these numbers."""
    for found in _candidates(check, evidence):
        return found
    return None


def _candidates(check: Check, evidence: Evidence) -> Iterator[PortCause]:
    if check.part in ("forward", "inference"):
        yield from (_gap(check, check.gap, evidence) if check.gap else _module(check, evidence))
    elif check.part == "buffer":
        yield from _buffer(check, evidence)
    else:
        yield from _gradient(check, evidence)


# -- between the modules


def _gap(check: Check, gap: Gap, evidence: Evidence) -> Iterator[PortCause]:
    tensors = evidence.tensors(check.part)
    ours, wanted = check.ours, check.theirs
    result = " output " in check.what
    if result:
        for name in ("softmax", "log_softmax", "sigmoid"):
            if close(ours, FUNCTIONS[name](wanted)):
                yield PortCause(
                    "softmax twice", f"the port gives {name} of what Keras's model gives: a loss from logits "
                    f"(CrossEntropyLoss, from_logits) would take a second one",
                    "leave it out of the port's forward", gap.target)
    if check.call and ours.ndim == 3 and close(ours.swapaxes(0, 1), wanted):
        yield PortCause("batch_first", "the port feeds (batch, steps, features) to a module that takes (steps, batch, "
                        "features), or the reverse: it attends or recurs over the batch", "set batch_first=True",
                        _layer_of(evidence.spec, check.call))
    yield from _padding_before(check, tensors[gap.target])
    for node in _likely_first(evidence.spec, gap):
        layer = evidence.spec.layers[node.layer]
        feeds = [tensors[name] for name in node.inputs if name in tensors]
        if len(feeds) != len(node.inputs):
            continue
        earlier = {name: array for name, array in tensors.items() if _before(evidence.spec, name, node.name)}
        for item in alternatives(layer, node, feeds, earlier):
            changed = propagate(evidence.spec, gap.chain, tensors, node.name, item.value)
            if gap.target in changed and close(ours, padded_like(changed[gap.target], ours.shape)):
                yield PortCause(item.key, item.cause, item.mend, node.layer)
    yield from _another_tensor(ours, gap, tensors, check)
    for name, function in (*FUNCTIONS.items(), ("LeakyReLU", leaky(0.01))):
        if name != "no activation" and close(ours, function(wanted)):
            yield PortCause("activation", f"the port applies {name} once more than Keras", f"leave {name} out",
                            gap.chain[-1].layer if gap.chain else None)
    scale = factor(ours, wanted)
    if scale is not None and abs(scale - 1) > 1e-6:
        yield PortCause("scale", f"the port's tensor is {scale:.6g} times Keras's", "leave the factor out")
    if ours.shape != wanted.shape:
        yield PortCause("shape", f"the port's tensor has the shape {ours.shape}, Keras's {wanted.shape}",
                        "look at what stands between these layers")


def _layer_of(spec: ModelSpec, call: str) -> str:
    return next(node.layer for node in spec.nodes if node.name == call)


def _likely_first(spec: ModelSpec, gap: Gap) -> list[Node]:
    """The calls of a gap; those behind which other parts stand as well come last: there the mistake would show too."""
    readers = {node.name: sum(node.name in other.references for other in spec.nodes) for node in gap.chain}
    return sorted(gap.chain, key=lambda node: readers[node.name] > 1)


def padded_like(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """With Keras's zeros of padding "same" around it, where the port pads before a convolution."""
    more = [there - here for there, here in zip(shape, array.shape, strict=False)]
    if array.ndim != len(shape) or array.ndim < 3 or more[0] or more[-1] or min(more) < 0 or not any(more):
        return array
    return np.pad(array, [(size // 2, size - size // 2) for size in more])


def _padding_before(check: Check, plain: np.ndarray) -> Iterator[PortCause]:
    """A port that pads by itself before a convolution, but not as Keras does."""
    ours = check.ours
    if ours.shape == plain.shape or ours.ndim != plain.ndim or ours.ndim < 3:
        return
    more = [there - here for there, here in zip(ours.shape[1:-1], plain.shape[1:-1], strict=True)]
    if min(more) < 0:
        return
    for first in itertools.product(*(range(size + 1) for size in more)):
        sides = [(a, size - a) for a, size in zip(first, more, strict=True)]
        if close(ours, np.pad(plain, [(0, 0), *sides, (0, 0)])):
            wanted = [(size // 2, size - size // 2) for size in more]
            if sides != wanted:
                yield PortCause("padding", f"the port pads {_shown(sides)} of the input of {check.call!r}, Keras "
                                f"{_shown(wanted)}", "pad as Keras does: the odd zero goes to the end",
                                (check.call or "").split("@")[0])


def _shown(sides: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{a} before and {b} after" for a, b in sides)


def _another_tensor(
    ours: np.ndarray, gap: Gap, tensors: Mapping[str, np.ndarray], check: Check
) -> Iterator[PortCause]:
    for name, array in tensors.items():
        if name != gap.target and close(ours, padded_like(array, ours.shape)) and not close(array, check.theirs):
            missing = [node.name for node in gap.chain]
            left_out = f" ({', '.join(missing)} left out)" if name in gap.sources and missing else ""
            yield PortCause("another tensor", f"the port feeds {name!r} where Keras feeds {gap.target!r}{left_out}",
                            f"feed {gap.target!r}", missing[-1] if missing else None)


def _before(spec: ModelSpec, name: str, call: str) -> bool:
    order = {node.name: index for index, node in enumerate(spec.nodes)}
    return order.get(name.split(":")[0], -1) < order[call]


# -- a module by itself


def _module(check: Check, evidence: Evidence) -> Iterator[PortCause]:
    assert check.layer is not None
    assert check.call is not None
    layer: Any = evidence.spec.layers[check.layer]
    unit = evidence.units.get(check.layer)
    kind = type(layer).__name__
    training = check.part == "forward"
    suspects = shown_settings(layer, unit) if unit else ()
    if kind == "BatchNormalization" and training:
        yield from _wrong_mode(check, layer, evidence)
    if unit is not None:
        for item in expected_settings(layer, unit, evidence.spec.input_shapes(evidence.spec.first_calls[check.layer])):
            found = evidence.again(check.call, item.attributes, training=training)
            if close(found["output 0"], check.theirs, 1e-9):
                yield PortCause(item.key, item.cause, item.mend, check.layer, suspects)
    node = next(node for node in evidence.spec.nodes if node.name == check.call)
    feeds = [evidence.teacher[f"{check.part} {name}"] for name in node.inputs
             if f"{check.part} {name}" in evidence.teacher]
    weights = {name.removeprefix(f"{check.layer}/"): array for name, array in evidence.weights.items()
               if name.startswith(f"{check.layer}/")}
    for key, cause, mend, value in FORMULAS.get(kind, no_formulas)(layer, feeds, weights):
        if close(check.ours, value if value.ndim == check.ours.ndim else value[:, -1]):
            yield PortCause(key, cause, mend, check.layer, suspects)
    for name, function in FUNCTIONS.items():
        if name != "no activation" and close(check.ours, function(check.theirs)):
            yield PortCause("activation", f"the port's module applies {name} as well", f"leave {name} out", check.layer)
    scale = factor(check.ours, check.theirs)
    if scale is not None and abs(scale - 1) > 1e-6:
        yield PortCause("scale", f"the port's output is {scale:.6g} times Keras's", "leave the factor out", check.layer)
    if kind == "GRU" and not layer.reset_after:
        yield PortCause("GRU reset form", *RESET, check.layer, suspects)
    if suspects:
        yield PortCause("settings", "the settings differ: " + "; ".join(suspects), "give the port Keras's settings",
                        check.layer, suspects)


def _wrong_mode(check: Check, layer: Any, evidence: Evidence) -> Iterator[PortCause]:
    assert check.call is not None
    asleep = evidence.again(check.call, {}, training=False, inputs="forward")["output 0"]
    if not layer.trainable and close(asleep, check.theirs):
        yield PortCause(
            "frozen batch normalization", "a frozen BatchNormalization of Keras runs in inference mode; the port's "
            "still uses and updates the statistics of the batch", "call .eval() on it after every .train()",
            check.layer)
    awake = evidence.again(check.call, {}, training=True)["output 0"]
    if layer.trainable and close(check.ours, asleep) and close(awake, check.theirs, 1e-9):
        yield PortCause(
            "inference mode while training", "the port runs the layer in inference mode in its training step",
            "call .train() before training, and no .eval() in the forward", check.layer)


# -- state and gradients


def _buffer(check: Check, evidence: Evidence) -> Iterator[PortCause]:
    assert check.weight is not None
    layer: Any = evidence.spec.layers[check.layer or ""]
    old = evidence.teacher[f"start {check.weight}"]
    ours, theirs = check.ours - old, check.theirs - old
    if not ours.any():
        yield PortCause("state not updated", f"the port leaves {check.weight} as it is in a training step",
                        "track_running_stats=True, and .train() before training", check.layer)
    if not theirs.any():
        yield PortCause("frozen batch normalization", "a frozen BatchNormalization of Keras keeps its moving averages; "
                        "the port's still updates them", "call .eval() on it after every .train()", check.layer)
        return
    if type(layer).__name__ != "BatchNormalization":
        return
    shape = evidence.teacher[f"forward {evidence.spec.first_calls[check.layer or ''].inputs[0]}"].shape
    count = int(np.prod(shape[:-1]))
    unbiased = count / (count - 1) if count > 1 else 1.0
    # The unbiased variance moves the average by another amount where its value is not 0.
    keep = layer.momentum
    batch = (check.theirs - keep * old) / (1 - keep)
    unit = evidence.units.get(check.layer or "")
    theirs_momentum = None if unit is None else unit.settings.get("momentum")
    for factor_, unbiased_too in ((1.0, False), (unbiased, True)):
        for momentum in dict.fromkeys((1 - keep, theirs_momentum, keep, 0.1, 0.01)):
            if momentum is None:
                continue
            made = (1 - momentum) * old + momentum * batch * factor_
            if not close(check.ours, made, 1e-9):
                continue
            if momentum == 1 - keep:
                yield PortCause(
                    "unbiased variance", "torch's BatchNorm keeps the unbiased variance (divided by n - 1) in its "
                    "running variance, Keras the biased one", "accept it (--accept \"unbiased variance\"), or keep the "
                    "biased variance in a BatchNorm of your own", check.layer)
            else:
                also = ", and the unbiased variance is kept" if unbiased_too else ""
                yield PortCause(
                    "momentum", f"the moving averages keep {1 - momentum:g} of the old value in the port (momentum="
                    f"{momentum:g}) and {keep:g} in Keras{also}", f"set momentum={1 - keep:g}", check.layer)


def _gradient(check: Check, evidence: Evidence) -> Iterator[PortCause]:
    ours, theirs = check.ours, check.theirs
    where = f"of {check.weight}" if check.weight else "that flows back here"
    if ours.shape == theirs.shape and not ours.any() and theirs.any():
        yield PortCause("no gradient", f"the gradient {where} is 0 in the port: something detaches it or is frozen",
                        "look for detach(), no_grad() and requires_grad=False", check.layer)
    layer = evidence.spec.layers.get(check.layer or "")
    if check.weight and layer is not None and type(layer).__name__ == "Embedding" and ours.ndim == 2:
        rows = np.flatnonzero(np.abs(ours - theirs).max(1) > 1e-12 * np.abs(theirs).max())
        if len(rows) == 1 and not ours[rows[0]].any():
            yield PortCause("padding_idx", f"row {rows[0]} gets no gradient in the port (padding_idx={rows[0]}); Keras "
                            "trains it, mask_zero or not", "leave padding_idx out", check.layer)
        counts = factor(ours, theirs)
        if counts is None and (np.abs(ours) <= np.abs(theirs) + 1e-12).all():
            yield PortCause("scale_grad_by_freq", "the gradient of rows that occur more than once is smaller in the "
                            "port", "leave scale_grad_by_freq out", check.layer)
    scale = factor(ours, theirs)
    if scale is not None and abs(scale - 1) > 1e-6:
        yield PortCause("scaled gradient", f"the gradient {where} is {scale:.6g} times Keras's",
                        "look for a factor or a hook on it", check.layer)
