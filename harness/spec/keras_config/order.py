"""The order of a functional model's layers in Keras (keras/src/ops/function.py: map_graph), from a spec alone.

By their distance from the outputs, those of one distance as a walk back from the outputs meets them. It decides what
the layers are called in a weights file: the second Dense of a model is "dense_1".
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import SpecError
from harness.spec.model import ModelSpec, Node, references_in


def layer_order(spec: ModelSpec) -> list[str]:
    """The names of inputs and layers in Keras's order."""
    nodes = {node.name: node for node in spec.nodes}
    finished, met = _walk_back(spec, nodes)
    owner = {name: nodes[name].layer if name in nodes else name for name in finished}
    node_depths: dict[str, int] = {}
    depths: dict[str, int] = {}
    for name in reversed(finished):
        depth = max(node_depths.get(name, 0), depths.get(owner[name], 0))
        node_depths[name] = depths[owner[name]] = depth
        for before in _parents(nodes.get(name)):
            node_depths[before] = max(node_depths.get(before, 0), depth + 1)
    for item in spec.inputs:
        if item.name not in depths:  # an input that nothing reads
            depths[item.name], met[item.name] = 0, -1
    return sorted(depths, key=lambda name: (-depths[name], met[name]))


def _walk_back(spec: ModelSpec, nodes: dict[str, Node]) -> tuple[list[str], dict[str, int]]:
    """(calls and inputs, each after what it reads; layer -> when the depth-first search first meets it)."""
    finished: list[str] = []
    done: set[str] = set()
    opened: set[str] = set()
    met: dict[str, int] = {}
    for output in spec.outputs:
        stack = [output.split(":")[0]]
        while stack:
            name = stack[-1]
            if name in done:
                stack.pop()
                continue
            if name not in opened:
                opened.add(name)
                met.setdefault(nodes[name].layer if name in nodes else name, len(met))
            waiting = [before for before in _parents(nodes.get(name)) if before not in done]
            if waiting:
                stack.append(waiting[0])
                continue
            done.add(name)
            finished.append(name)
            stack.pop()
    return finished, met


def _parents(node: Node | None) -> list[str]:
    """What a call reads, in the order of Keras's arguments: positional ones, then the others by name."""
    if node is None:
        return []
    named = (reference for key in sorted(node.arguments) for reference in references_in(node.arguments[key]))
    return [reference.split(":")[0] for reference in (*node.inputs, *named)]


def check_order(spec: ModelSpec) -> None:
    """Raises SpecError where the order in Keras hangs on operations that only Keras knows: those behind masks.

    They lengthen the way to the outputs, and with it they may change the order of two layers of one class, unless
    one of them reads what comes of the other.
    """
    if not any(type(layer).__name__ == "Masking" or getattr(layer, "mask_zero", False)
               for layer in spec.layers.values()):
        return
    behind = _behind(spec)
    by_class: dict[str, list[str]] = {}
    for name in {weight.layer for weight in spec.weights}:
        by_class.setdefault(spec.layers[name].canonical_name(), []).append(name)
    for names in by_class.values():
        for place, first in enumerate(names):
            for second in names[place + 1:]:
                if first not in behind[second] and second not in behind[first]:
                    raise SpecError(
                        f"which of the layers {first!r} and {second!r} comes first in Keras hangs on the masks.",
                        where=f"model {spec.name!r}",
                        hint="Save it from Keras: harness.build(spec, 'tensorflow', weights=weights).save(path).")


def _behind(spec: ModelSpec) -> dict[str, frozenset[str]]:
    """Layer -> every layer on the way to one of its calls."""
    nodes = {node.name: node for node in spec.nodes}
    calls: dict[str, frozenset[str]] = {}
    layers: dict[str, frozenset[str]] = {}
    for node in spec.nodes:
        before: Iterable[str] = (name for name in _parents(node) if name in nodes)
        found = frozenset(item for name in before for item in (*calls[name], nodes[name].layer))
        calls[node.name] = found
        layers[node.layer] = layers.get(node.layer, frozenset()) | found
    return layers
