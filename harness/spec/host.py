"""The part of a model that the host computes: layers of text and hashes at its beginning (`Layer.host`).

`device_part` is the model that the frameworks get: it begins behind those layers, whose results are inputs of the same
names. data/text_prefix.py computes them.
"""

from __future__ import annotations

from dataclasses import replace

from harness.errors import SpecError
from harness.spec.layers.base import Layer
from harness.spec.model import InputSpec, ModelSpec, Node


def is_host(layer: type[Layer]) -> bool:
    """Whether the host computes layers of this class."""
    return bool(getattr(layer, "host", False))


def host_nodes(spec: ModelSpec) -> tuple[Node, ...]:
    """The calls that the host computes, in order. Raises SpecError where they do not stand at the beginning."""
    known, found = {item.name for item in spec.inputs}, []
    for node in spec.nodes:
        layer = spec.layers[node.layer]
        if not is_host(type(layer)):
            continue
        for reference in node.inputs:
            if reference not in known:
                raise SpecError(
                    f"{type(layer).__name__} works on text or by hash, which no framework computes on a device, and "
                    f"{reference!r} is computed there.", where=f"model {spec.name!r}, layer {node.name!r}",
                    hint="Let such layers read inputs, or each other.")
        known.add(node.name)
        found.append(node)
    return tuple(found)


def device_part(spec: ModelSpec) -> ModelSpec:
    """The model behind its host layers: itself where it has none. Raises SpecError where nothing is left."""
    hosted = {node.name: node for node in host_nodes(spec)}
    texts = [item.name for item in spec.inputs if item.dtype == "string"]
    rest = [node for node in spec.nodes if node.name not in hosted]
    read = {reference for node in rest for reference in node.references} | set(spec.outputs)
    for name in texts:
        if name in read:
            raise SpecError(f"the input {name!r} is text, which only layers of text can read.",
                            where=f"model {spec.name!r}", hint="Put a TextVectorization or StringLookup behind it.")
    if not hosted:
        return spec
    if not rest:
        raise SpecError("nothing is left to train behind the layers of text.", where=f"model {spec.name!r}")
    kept = [item for item in spec.inputs if item.name in read]
    results = [
        InputSpec(name, spec.tensors[name], "int64" if _whole(spec.layers[node.layer]) else "float32")
        for name, node in hosted.items() if name in read
    ]
    layers = {name: layer for name, layer in spec.layers.items() if any(node.layer == name for node in rest)}
    return replace(spec, inputs=(*kept, *results), layers=layers, nodes=tuple(rest))


def _whole(layer: Layer) -> bool:
    return bool(getattr(layer, "whole_number_outputs", False))
