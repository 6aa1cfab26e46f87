"""Which layers may write their result over their first input, as a person writes nn.ReLU(inplace=True).

It saves memory, and the time that it takes to get it; the values are the same to the bit. A tensor may be written over
if nothing reads its memory afterwards: a call made it, in memory of its own, this call is the last to read it, it is no
output of the model, and no earlier reader handed on a view of it. Where a gradient is asked for, the backward passes of
the call that made it and of its readers must not need it either: this call is its only reader, and its maker has no
activation, whose backward pass takes its result.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.spec.layers import (
    activation,
    attention,
    convolutional,
    core,
    depthwise,
    merging,
    normalization,
    pooling,
    transposed,
)
from harness.spec.model import ModelSpec, Node

# Those whose modules take `inplace`.
OVERWRITING = (activation.ReLU, core.Activation, merging.Add)
# Those whose modules never give back their input or a view of it. Their subclasses may.
NEW_TENSORS = {
    activation.ReLU, core.Activation, core.Dense, core.EinsumDense, merging.Add, merging.Subtract,
    merging.Multiply, merging.Average, merging.Concatenate, attention.MultiHeadAttention,
    convolutional.Conv1D, convolutional.Conv2D, convolutional.Conv3D, depthwise.DepthwiseConv1D,
    depthwise.DepthwiseConv2D, depthwise.SeparableConv1D, depthwise.SeparableConv2D, transposed.Conv1DTranspose,
    transposed.Conv2DTranspose, transposed.Conv3DTranspose, normalization.BatchNormalization,
    normalization.LayerNormalization, pooling.MaxPooling1D, pooling.MaxPooling2D, pooling.AveragePooling1D,
    pooling.AveragePooling2D, pooling.GlobalAveragePooling1D, pooling.GlobalAveragePooling2D,
}


def overwriting_layers(
    spec: ModelSpec, order: Sequence[Node], last_reads: Sequence[tuple[str, ...]],
) -> dict[str, dict[str, int]]:
    """Layer -> the arguments `inplace` and `inplace_training` of its module: which input every call may write over, 0
    or, of a sum, 1, without and with a gradient; missing where none. order: the calls; last_reads: for each the tensors
    that no later one, and not the model's caller, reads."""
    made_by = {node.name: node for node in order}
    readers: dict[str, list[Node]] = {}
    for node in order:
        for reference in node.references:
            readers.setdefault(reference, []).append(node)
    found: dict[str, tuple[set[int], set[int]]] = {}
    for node, last in zip(order, last_reads, strict=True):
        if type(spec.layers[node.layer]) in OVERWRITING:
            free = {index for index, name in enumerate(node.inputs[:2])
                    if name in last and name in made_by and node.references.count(name) == 1
                    and all(_makes_new(spec, call) for call in (made_by[name], *readers[name]))}
            kept = {index for index in free if len(readers[node.inputs[index]]) > 1
                    or _keeps_result(spec, made_by[node.inputs[index]])}
            before = found.get(node.layer, (free, free))
            found[node.layer] = (before[0] & free, before[1] & free - kept)
    return {layer: {name: min(inputs) for name, inputs in zip(("inplace", "inplace_training"), both, strict=True)
                    if inputs} for layer, both in found.items() if both[0]}


def _makes_new(spec: ModelSpec, call: Node) -> bool:
    """Whether what a call gives lies in memory that its inputs do not lie in, unless it wrote over one for good."""
    layer = spec.layers[call.layer]
    linear = isinstance(layer, core.Activation) and layer.activation is None
    return type(layer) in NEW_TENSORS and not linear


def _keeps_result(spec: ModelSpec, call: Node) -> bool:
    """Whether a call's backward pass, or that of a penalty on its output, needs what it gave."""
    layer = spec.layers[call.layer]
    activated = isinstance(layer, activation.ReLU) or getattr(layer, "activation", None) not in (None, "linear")
    return activated or layer.regularizes_activity
