"""The order in which Keras runs a model's calls: by depth, not as they were written down."""

from __future__ import annotations

from harness.spec.model import ModelSpec, Node


def execution_order(spec: ModelSpec) -> tuple[Node, ...]:
    """The calls by decreasing distance from the outputs (keras/src/ops/function.py: map_graph), equals as in the spec.

    It matters where a call leaves something behind: a shared BatchNormalization its moving averages, a shared
    Dropout its place in the drawing, a MultiHeadAttention the tensors whose masks it took.
    """
    names = {node.name for node in spec.nodes}
    depths: dict[str, int] = {}
    layer_depths: dict[str, int] = {}
    for node in reversed(spec.nodes):
        depth = max(depths.get(node.name, 0), layer_depths.get(node.layer, 0))
        depths[node.name] = layer_depths[node.layer] = depth
        for parent in (reference.split(":")[0] for reference in node.references):
            if parent in names:
                depths[parent] = max(depth + 1, depths.get(parent, 0))
    return tuple(sorted(spec.nodes, key=lambda node: -depths[node.name]))
