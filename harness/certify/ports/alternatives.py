"""Calls without weights in NumPy, as Keras means them and as ports get them wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.certify.ports.formulas import FUNCTIONS, close, leaky
from harness.spec.model import ModelSpec, Node

Array = np.ndarray
Tensors = Mapping[str, Array]


@dataclass(frozen=True)
class Alternative:
    """What a call gives if the port makes this mistake."""

    key: str
    cause: str
    mend: str
    value: Array


def evaluate(layer: Any, feeds: Sequence[Array]) -> Array | None:
    """What Keras's layer gives, None for a layer that is not known here."""
    kind = type(layer).__name__
    x = feeds[0]
    if kind in IDENTITIES:
        return x
    if kind == "Flatten":
        return x.reshape(len(x), -1)
    if kind in MERGES:
        return MERGES[kind](feeds)
    if kind == "Concatenate":
        return np.concatenate(feeds, layer.axis)
    if kind in ("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"):
        return np.asarray(x.mean(tuple(range(1, x.ndim - 1)), keepdims=getattr(layer, "keepdims", False)))
    if kind in ("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"):
        return np.asarray(x.max(tuple(range(1, x.ndim - 1)), keepdims=getattr(layer, "keepdims", False)))
    if kind in POOLS:
        return pooled(layer, x, kind.startswith("Average"))
    name = activation_of(layer)
    if name is not None:
        return FUNCTIONS[name](x)
    return None if (slope := slope_of(layer)) is None else leaky(slope)(x)


def slope_of(layer: Any) -> float | None:
    """The slope below zero of a LeakyReLU, in whichever form (certify/ports/reference.py: exact)."""
    if type(layer).__name__ not in ("LeakyReLU", "ReLU") or not layer.negative_slope:
        return None
    return float(layer.negative_slope)


def activation_of(layer: Any) -> str | None:
    """The name in FUNCTIONS of a layer that is an activation, None if it is none that is known."""
    kind = type(layer).__name__
    if kind == "ReLU":
        plain = layer.max_value is None and not layer.negative_slope and not layer.threshold
        return "relu" if plain else None
    if kind == "Softmax":
        return "softmax" if layer.axis in (-1, [-1], (-1,)) else None
    if kind == "Activation":
        name = layer.activation
        known = {"gelu": "gelu (exact)", "swish": "silu", "linear": "no activation"}
        return known.get(name, name) if isinstance(name, str) and known.get(name, name) in FUNCTIONS else None
    return None


def is_activation(layer: Any) -> bool:
    return type(layer).__name__ in ("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax")


def pooled(layer: Any, x: Array, average: bool, *, counts_pads: bool = False, symmetric: bool = False,
           padded: bool | None = None) -> Array | None:
    """A pooling over one, two or three axes. counts_pads, symmetric: as torch pads. padded: other than Keras does."""
    window, strides = _sizes(layer.pool_size, x.ndim - 2), _sizes(layer.strides or layer.pool_size, x.ndim - 2)
    same = layer.padding == "same" if padded is None else padded
    sides = [(0, 0)]
    for size, width, stride in zip(x.shape[1:-1], window, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + width - size, 0) if same else 0
        half = -(-total // 2) if symmetric else total // 2
        sides.append((half, half if symmetric else total - half))
    sides.append((0, 0))
    fill = 0.0 if average else -np.inf
    whole = np.pad(x, sides, constant_values=fill)
    counts = np.pad(np.ones_like(x), sides, constant_values=1.0 if counts_pads else 0.0)
    shape = tuple((there - width) // stride + 1 for there, width, stride in
                  zip(whole.shape[1:-1], window, strides, strict=True))
    if min(shape, default=0) < 1:
        return None
    result, number = None, np.zeros((len(x), *shape, x.shape[-1]))
    for offset in itertools.product(*(range(width) for width in window)):
        place = (slice(None), *(slice(start, start + (size - 1) * stride + 1, stride) for start, size, stride in
                                zip(offset, shape, strides, strict=True)))
        part = whole[place]
        result = part if result is None else result + part if average else np.maximum(result, part)
        number += counts[place]
    return np.asarray(result / number if average else result)


def alternatives(layer: Any, node: Node, feeds: Sequence[Array], tensors: Tensors) -> Iterator[Alternative]:
    """What the call gives under each mistake that is known of its kind."""
    kind = type(layer).__name__
    if is_activation(layer):
        yield from _activations(layer, node, feeds[0])
    if kind == "Flatten" and feeds[0].ndim > 2:
        yield Alternative(
            "flatten order", "PyTorch flattens (channels, height, width), Keras (height, width, channels): the next "
            "kernel meets its inputs in another order",
            f"permute the tensor to channels last before it is flattened, or map the next layer with the transform "
            f"\"flatten {' '.join(map(str, feeds[0].shape[1:]))}\"",
            np.moveaxis(feeds[0], -1, 1).reshape(len(feeds[0]), -1))
    if kind in POOLS:
        yield from _pools(layer, node, feeds[0])
    if kind in MERGES or kind == "Concatenate":
        yield from _merges(layer, node, feeds, tensors)


def _activations(layer: Any, node: Node, x: Array) -> Iterator[Alternative]:
    slope_ = slope_of(layer)
    own = f"LeakyReLU({slope_:g})" if slope_ else activation_of(layer) or str(getattr(layer, "activation", ""))
    for name, function in FUNCTIONS.items():
        if name == own:
            continue
        with np.errstate(over="ignore"):
            value = function(x)
        key = "missing activation" if name == "no activation" else "activation"
        cause = f"the port has no activation where Keras's {node.name!r} applies {own}" if key.startswith("missing") \
            else f"the port applies {name} where Keras's {node.name!r} applies {own}"
        yield Alternative(key, cause, f"apply {own} in the port", value)
    if (x < 0).any():
        for slope in (0.01, 0.1, 0.2, 0.3, 0.05):
            if slope == slope_:
                continue
            yield Alternative("LeakyReLU slope", f"the slope below zero is {slope:g} in the port; Keras's "
                              f"{node.name!r} is {own}", "give the port's LeakyReLU Keras's slope", leaky(slope)(x))


def _pools(layer: Any, node: Node, x: Array) -> Iterator[Alternative]:
    average = type(layer).__name__.startswith("Average")
    if average:
        for symmetric in (False, True):
            value = pooled(layer, x, True, counts_pads=True, symmetric=symmetric)
            if value is not None:
                yield Alternative("average pool counts pads", f"PyTorch's average pooling counts the zeros of its "
                                  f"padding, Keras's {node.name!r} does not", "set count_include_pad=False", value)
    value = pooled(layer, x, not average)
    if value is not None:
        yield Alternative("pooling", f"the port takes the {'maximum' if average else 'average'} where Keras's "
                          f"{node.name!r} takes the {'average' if average else 'maximum'}",
                          "use the pooling that Keras uses", value)
    value = pooled(layer, x, average, symmetric=True)
    if value is not None:
        yield Alternative("padding", f"the port pads both sides alike, Keras's {node.name!r} (padding 'same') pads "
                          "more at the end", "pad with F.pad as Keras does, and pool without padding", value)


def _merges(layer: Any, node: Node, feeds: Sequence[Array], tensors: Tensors) -> Iterator[Alternative]:
    kind = type(layer).__name__
    for place, name in enumerate(dict.fromkeys(node.inputs)):
        for other, value in tensors.items():
            if other in (name, node.name) or value.shape != feeds[place].shape or close(value, feeds[place]):
                continue
            changed = evaluate(layer, [*feeds[:place], value, *feeds[place + 1:]])
            if changed is not None:
                yield Alternative(
                    "residual source", f"the port's {kind.lower()} takes {other!r} where Keras's {node.name!r} takes "
                    f"{name!r}", f"feed {name!r} to the {kind.lower()}", changed)
    for place, name in enumerate(node.inputs):
        rest = [feed for index, feed in enumerate(feeds) if index != place]
        if len(rest) == 1 and kind in MERGES:
            yield Alternative("residual source", f"the port leaves {name!r} out of the {kind.lower()}",
                              f"add {name!r}", rest[0])
    if kind == "Concatenate" and len(feeds) == 2:
        yield Alternative("order of concatenation", f"the port concatenates the inputs of {node.name!r} in another "
                          "order",
                          f"concatenate in the order {', '.join(node.inputs)}",
                          np.concatenate(feeds[::-1], layer.axis))
    for other_kind, merge in MERGES.items():
        if other_kind != kind and kind in MERGES:
            yield Alternative("merge", f"the port merges by {other_kind} where Keras's {node.name!r} is {kind}",
                              f"use Keras's {kind}", merge(feeds))


def propagate(spec: ModelSpec, chain: Sequence[Node], tensors: Tensors, changed: str, value: Array) -> dict[str, Array]:
    """The tensors of a chain of calls if one of them gave something else."""
    found = {**tensors, changed: value}
    touched = {changed}
    for node in chain:
        if node.name == changed or not touched & set(node.references):
            continue
        touched.add(node.name)
        result = evaluate(spec.layers[node.layer], [found[name] for name in node.inputs])
        if result is None:
            found.pop(node.name, None)
            return {}
        found[node.name] = result
    return found


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _total(feeds: Sequence[Array]) -> Array:
    return np.asarray(sum(feeds[1:], feeds[0]))


def _product(feeds: Sequence[Array]) -> Array:
    found = feeds[0]
    for feed in feeds[1:]:
        found = found * feed
    return found


MERGES = {
    "Add": _total, "Multiply": _product, "Average": lambda feeds: _total(feeds) / len(feeds),
    "Maximum": lambda feeds: np.maximum.reduce(list(feeds)), "Subtract": lambda feeds: feeds[0] - feeds[-1],
}
POOLS = ("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D")
IDENTITIES = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "GaussianNoise",
              "AlphaDropout", "Identity")
