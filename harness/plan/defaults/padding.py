"""padding="same" with strides: Keras puts the odd zero behind, PyTorch's padding=k//2 puts as many on either side.

A padding of its own in front and padding="valid" say the same in a spec. Only windows after which the sizes are the
same are switched: PyTorch's rule for even windows gives other sizes, another network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.plan.defaults.base import Change
from harness.spec.layers import LAYERS
from harness.spec.layers.base import Layer, Shape
from harness.spec.layers.spatial import same_padding, window_length
from harness.spec.model import ModelSpec, Node, copy_layer
from harness.spec.recipe import Recipe

CONVOLUTIONS = frozenset({"Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D",
                          "SeparableConv2D"})
MAXIMA = frozenset({"MaxPooling1D", "MaxPooling2D", "MaxPooling3D"})
MEANS = frozenset({"AveragePooling1D", "AveragePooling2D", "AveragePooling3D"})
# Below every number that a network computes, and finite: no gradient of it is NaN.
LOWEST = -1e30
Pairs = tuple[tuple[int, int], ...]


def strided(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Convolutions and maxima with padding="same" and strides."""
    places = {name: pairs for name in spec.layers if (pairs := symmetric(spec, name, CONVOLUTIONS | MAXIMA))}
    return _padded(spec, recipe, places, "the odd one behind", "as many on either side")


def counted(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """AveragePooling with padding: what the mean is of."""
    places = {name: pairs for name in spec.layers if (pairs := symmetric(spec, name, MEANS))}
    return _padded(spec, recipe, places, "padding does not count", "zeros around count (count_include_pad=True)")


def symmetric(spec: ModelSpec, name: str, kinds: frozenset[str]) -> Pairs | None:
    """The padding on either side, per dimension, where PyTorch's differs and leaves the sizes as they are."""
    found = {pairs_of(spec, node, kinds) for node in spec.calls[name]}
    return found.pop() if len(found) == 1 else None


def pairs_of(spec: ModelSpec, node: Node, kinds: frozenset[str]) -> Pairs | None:
    """PyTorch's padding of one call, None where it is Keras's own or makes other sizes."""
    layer = spec.layers[node.layer]
    if type(layer).__name__ not in kinds or layer.padding != "same":  # type: ignore[attr-defined]
        return None
    shape = spec.input_shapes(node)[0]
    if other_sizes(layer, shape):
        return None
    sides = [(same_padding(size or 0, kernel, stride, dilation), torch_padding(size or 0, kernel, stride, dilation))
             for size, kernel, stride, dilation in windows(layer, shape)]
    counts = type(layer).__name__ in MEANS and any(max(torch) > 0 for _, torch in sides)
    differs = counts or any(keras != torch for keras, torch in sides)
    return tuple(torch for _, torch in sides) if differs else None


def torch_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """As many on either side. With stride 1 PyTorch has Keras's own padding="same", and nothing where none is needed:
    a window of 2 with stride 2 is not padded there."""
    half = (kernel - 1) * dilation // 2
    return same_padding(size, kernel, stride, dilation) if stride == 1 else (half, half)


def other_sizes(layer: Layer, shape: Shape) -> bool:
    """Whether PyTorch's padding gives another size of the output, or one that the spec does not know."""
    for size, kernel, stride, dilation in windows(layer, shape):
        if stride == 1:
            continue
        if size is None:
            return True
        padded = size + sum(torch_padding(size, kernel, stride, dilation))
        if window_length(padded, kernel, stride, "valid", dilation) != window_length(size, kernel, stride, "same"):
            return True
    return False


def windows(layer: Layer, shape: Shape) -> list[tuple[int | None, int, int, int]]:
    """(size, window, stride, dilation) per dimension of space."""
    a: Any = layer
    kernel = a.kernel_size if hasattr(a, "kernel_size") else a.pool_size
    strides = a.strides if hasattr(a, "kernel_size") else a.effective_strides
    dilation = getattr(a, "dilation_rate", (1,) * len(kernel))
    space = shape[2:] if a.data_format == "channels_first" else shape[1:-1]
    return list(zip(space, kernel, strides, dilation, strict=True))


def _padded(
    spec: ModelSpec, recipe: Recipe, places: dict[str, Pairs], keras: str, torch: str,
) -> Change | None:
    """The model with a layer of padding in front of every call of these layers."""
    if not places:
        return None
    layers = {name: copy_layer(layer, padding="valid") if name in places else layer
              for name, layer in spec.layers.items()}
    nodes: list[Node] = []
    for node in spec.nodes:
        if node.layer in places:
            name = _free(f"{node.name.replace('@', '_')}_padding", layers)
            lowest = type(spec.layers[node.layer]).__name__ in MAXIMA
            make = _lowest if lowest else _zeros
            layers[name], arguments = make(spec.layers[node.layer], places[node.layer])
            nodes.append(Node(name, name, node.inputs[:1], arguments))
            node = replace(node, inputs=(name, *node.inputs[1:]))
        nodes.append(node)
    return Change(replace(spec, layers=layers, nodes=tuple(nodes)), recipe, tuple(places), keras, torch)


Made = tuple[Layer, dict[str, Any]]


def _zeros(layer: Layer, pairs: Pairs) -> Made:
    cls: Callable[..., Layer] = LAYERS.find(f"ZeroPadding{len(pairs)}D")
    data_format = layer.data_format  # type: ignore[attr-defined]
    return cls(padding=pairs[0] if len(pairs) == 1 else pairs, data_format=data_format), {}


def _lowest(layer: Layer, pairs: Pairs) -> Made:
    """What no maximum sees, as PyTorch's pooling pads."""
    none = (0, 0)
    last = layer.data_format == "channels_last"  # type: ignore[attr-defined]
    width = (none, *pairs, none) if last else (none, none, *pairs)
    cls: Callable[..., Layer] = LAYERS.find("ops.pad")
    return cls(pad_width=width), {"constant_values": LOWEST}


def _free(name: str, taken: dict[str, Layer]) -> str:
    numbered = (f"{name}_{number}" for number in range(1, len(taken) + 2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
