"""Parts of a port: the modules that hold one Keras layer and nothing else. At them a port is cut into pieces."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.certify.ports.mapping import PortMapping
from harness.certify.ports.rules import RECURRENT, TorchUnit
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec, Node


@dataclass(frozen=True)
class Call:
    """One call of a part: the name of the Keras call, the tensors that it reads and makes."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """module: its path. layers: the Keras layers in it, several for a stacked LSTM. container: a module of the user's
    with other modules inside, of which only the weights say what it is. flatten: (..., channels) of the Flatten before
    it, where its kernel expects channels first. sequences: whether a recurrent layer gives every step."""

    module: str
    kind: str
    layers: tuple[str, ...]
    calls: tuple[Call, ...]
    container: bool = False
    flatten: tuple[int, ...] | None = None
    sequences: bool = True

    @property
    def layer(self) -> str:
        return self.layers[-1]


def parts_of(
    spec: ModelSpec, mapping: PortMapping, units: Sequence[TorchUnit], calls: Mapping[str, int]
) -> tuple[Part, ...]:
    """The parts in the order of the model. calls: module -> how often it is called in one pass."""
    owners = {f"{unit.path}.{name}" if unit.path else name: unit for unit in units for name in unit.tensors}
    found: list[Part] = []
    by_module: dict[str, list[str]] = {}
    for layer in dict.fromkeys(weight.layer for weight in spec.weights):
        held = {owners[piece.path].path for entry in mapping.of_layer(layer) for piece in entry.pieces}
        by_module.setdefault(_common(held), []).append(layer)
    for module, layers in by_module.items():
        inside = {unit.label for unit in units if _within(unit.path, module)}
        ours = {owners[piece.path].label for layer in layers for entry in mapping.of_layer(layer)
                for piece in entry.pieces}
        kind = next((unit.kind for unit in units if unit.path == module), "container")
        if not module or inside != ours or not _one_call(spec, layers, kind):
            continue
        made = _calls(spec, layers)
        if made is None or calls.get(module) != len(made):
            continue
        last: Any = spec.layers[layers[-1]]
        found.append(Part(module, kind, tuple(layers), made, not any(unit.path == module for unit in units),
                          _flatten(mapping, layers[0]), _sequences(last)))
    place = {node.name: index for index, node in enumerate(spec.nodes)}
    return tuple(sorted(found, key=lambda part: place[part.calls[0].name]))


def _one_call(spec: ModelSpec, layers: Sequence[str], kind: str) -> bool:
    """Whether the module stands for the layers as one: a single layer, or a stack of recurrent ones."""
    if len(layers) > 1:
        return kind in ("LSTM", "GRU", "RNN") and _chained(spec, layers)
    layer: Any = spec.layers[layers[0]]
    wrapped = type(layer).__name__ == "Bidirectional"
    inner = layer.layer if wrapped else layer
    if wrapped and layer.merge_mode != "concat":
        return False
    plain = type(inner).__name__ in RECURRENT
    return not (plain and (inner.go_backwards or kind.endswith("Cell")))


def _chained(spec: ModelSpec, layers: Sequence[str]) -> bool:
    """Whether each layer reads the one before it, through nothing that computes."""
    nodes = {node.name: node for node in spec.nodes}
    for first, second in itertools.pairwise(layers):
        name = spec.first_calls[second].inputs[0]
        while name in nodes and nodes[name].layer != first and \
                "Dropout" in type(spec.layers[nodes[name].layer]).__name__:
            name = nodes[name].inputs[0]
        if name != first:
            return False
    return True


def _calls(spec: ModelSpec, layers: Sequence[str]) -> tuple[Call, ...] | None:
    first, last = spec.calls[layers[0]], spec.calls[layers[-1]]
    if len(first) != len(last):
        return None
    return tuple(Call(begin.name, _inputs(spec.layers[layers[0]], begin), _outputs(spec, end))
                 for begin, end in zip(first, last, strict=True))


def _inputs(layer: Layer, node: Node) -> tuple[str, ...]:
    return node.inputs if type(layer).__name__ == "MultiHeadAttention" else node.inputs[:1]


def _outputs(spec: ModelSpec, node: Node) -> tuple[str, ...]:
    names = [node.name]
    while f"{node.name}:{len(names)}" in spec.tensors:
        names.append(f"{node.name}:{len(names)}")
    return tuple(names)


def _flatten(mapping: PortMapping, layer: str) -> tuple[int, ...] | None:
    return next((entry.transform.numbers for entry in mapping.of_layer(layer)
                 if entry.transform.name == "flatten"), None)


def _sequences(layer: Any) -> bool:
    inner = getattr(layer, "layer", layer)
    return bool(getattr(inner, "return_sequences", True))


def _common(paths: set[str]) -> str:
    """The innermost module that holds all of them."""
    split = [path.split(".") if path else [] for path in paths]
    common = []
    for names in zip(*split, strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return ".".join(common)


def _within(path: str, module: str) -> bool:
    return not module or path == module or path.startswith(module + ".")
