"""ModelSpec to and from plain data (YAML, JSON).

    name: mlp
    inputs:
      - {name: image, shape: [28, 28]}
    layers:
      - Flatten: {}
      - Dense: {units: 64, activation: relu, name: hidden}
      - Dense: {units: 10, name: logits, inputs: [hidden]}
      - call: {layer: hidden, inputs: [other]}        # a shared layer, called again
    outputs: [logits]

`inputs:` of a layer names what feeds it, the layer before where it is absent; `arguments:` holds the other
arguments of the call, a tensor among them as {tensor: name}.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import snake_case
from harness.spec.files import Document, read_document, write_data
from harness.spec.layers import LAYERS
from harness.spec.layers.base import Layer
from harness.spec.model import InputSpec, ModelSpec, Node, Reference

MODEL_KEYS = ("name", "inputs", "layers", "outputs")


def model_to_data(model: ModelSpec) -> dict[str, Any]:
    """Plain data in canonical form: defaults left out, `inputs` left out where it is the layer before."""
    layers: list[Any] = []
    before = model.inputs[0].name if len(model.inputs) == 1 else None
    called: set[str] = set()
    for node in model.nodes:
        layer = model.layers[node.layer]
        body: dict[str, Any] = {}
        if node.layer not in called:
            key, body = layer.canonical_name(), {**layer.config(), "name": node.layer}
            called.add(node.layer)
        else:
            key, body = "call", {"layer": node.layer}
        if node.inputs != (before,):
            body["inputs"] = list(node.inputs)
        if node.arguments:
            body["arguments"] = {name: _argument_data(value) for name, value in sorted(node.arguments.items())}
        layers.append({key: body})
        before = node.name
    inputs = []
    for item in model.inputs:
        entry: dict[str, Any] = {"name": item.name, "shape": list(item.shape[1:])}
        if item.dtype != "float32":
            entry["dtype"] = item.dtype
        inputs.append(entry)
    return {"name": model.name, "inputs": inputs, "layers": layers, "outputs": list(model.outputs)}


def _argument_data(value: Any) -> Any:
    if isinstance(value, Reference):
        return {"tensor": value.to}
    if isinstance(value, (list, tuple)):
        return [_argument_data(item) for item in value]
    return value


def _argument_value(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"tensor"}:
        return Reference(str(value["tensor"]))
    if isinstance(value, (list, tuple)):
        return [_argument_value(item) for item in value]
    return value


def model_from_data(data: Any, *, where: str = "model", document: Document | None = None) -> ModelSpec:
    """The inverse of `model_to_data`. Raises SpecError naming line or key."""
    def place(*keys: Any) -> str:
        return document.where(*keys) if document else ".".join([where, *map(str, keys)])

    if not isinstance(data, Mapping):
        raise SpecError(f"a model is a mapping with the keys {', '.join(MODEL_KEYS)}, got {type(data).__name__}.",
                        where=place())
    for key in data:
        if key not in MODEL_KEYS:
            raise SpecError(f"unknown key {key!r}.", where=place(key), hint=did_you_mean(key, MODEL_KEYS))
    inputs = tuple(
        _input_from(item, place("inputs", index)) for index, item in enumerate(_list(data, "inputs", place))
    )
    layers: dict[str, Layer] = {}
    nodes: list[Node] = []
    calls: dict[str, int] = {}
    before = inputs[0].name if len(inputs) == 1 else None
    taken = {item.name for item in inputs}
    for index, item in enumerate(_list(data, "layers", place)):
        spot = place("layers", index)
        key, body = _entry(item, spot)
        feeds = _feeds(body.pop("inputs", None), before, inputs, spot)
        arguments = body.pop("arguments", None) or {}
        if not isinstance(arguments, Mapping):
            raise SpecError(f"'arguments' is a mapping, got {arguments!r}.", where=spot)
        label = _call_label(body, layers, spot) if key == "call" else _new_layer(key, body, layers, taken, spot)
        count = calls[label] = calls.get(label, -1) + 1
        name = label if count == 0 else f"{label}@{count}"
        nodes.append(Node(name, label, feeds, {str(k): _argument_value(v) for k, v in arguments.items()}))
        before = name
    outputs = data.get("outputs", [before])
    outputs = [outputs] if isinstance(outputs, str) else outputs
    if not isinstance(outputs, (list, tuple)) or not outputs or not all(isinstance(o, str) for o in outputs):
        raise SpecError(f"'outputs' is a list of layer names, got {outputs!r}.", where=place("outputs"))
    name = data.get("name", "model")
    if not isinstance(name, str) or not name:
        raise SpecError(f"a model's name is text, got {name!r}.", where=place("name"))
    try:
        return ModelSpec(name, inputs, layers, _sorted(nodes, place), tuple(outputs))
    except SpecError as error:
        raise (error.at(str(document.path)) if document else error.at(where)) from None


def _feeds(given: Any, before: str | None, inputs: tuple[InputSpec, ...], spot: str) -> tuple[str, ...]:
    """What feeds a layer: the names that are given, or what stands before it. Raises SpecError if unclear."""
    if given is None:
        if before is None:
            raise SpecError("the model has several inputs: say which one feeds this layer.", where=spot,
                            hint=f"Write inputs: [{inputs[0].name if inputs else '...'}].")
        return (before,)
    feeds = [given] if isinstance(given, str) else given
    if not isinstance(feeds, (list, tuple)) or not all(isinstance(feed, str) for feed in feeds):
        raise SpecError(f"'inputs' is a list of names, got {feeds!r}.", where=spot)
    return tuple(feeds)


def _sorted(nodes: list[Node], place: Any) -> tuple[Node, ...]:
    """Nodes in topological order, the written order kept where it is one. Raises SpecError on a cycle."""
    by_name = {node.name: node for node in nodes}
    done: dict[str, Node] = {}
    for index, start in enumerate(nodes):
        stack = [start.name]
        path: list[str] = []
        while stack:
            name = stack[-1]
            if name in done:
                stack.pop()
                continue
            waiting = [ref.split(":")[0] for ref in by_name[name].references]
            waiting = [ref for ref in waiting if ref in by_name and ref not in done]
            if not waiting:
                done[name] = by_name[stack.pop()]
                if path and path[-1] == name:
                    path.pop()
                continue
            if name in path and waiting[0] in path:
                raise SpecError(f"the layers form a cycle: {' -> '.join([*path, waiting[0]])}.",
                                where=place("layers", index), hint="A layer cannot feed itself.")
            if name not in path:
                path.append(name)
            if waiting[0] in path:
                raise SpecError(f"the layers form a cycle: {' -> '.join([*path, waiting[0]])}.",
                                where=place("layers", index), hint="A layer cannot feed itself.")
            stack.append(waiting[0])
    return tuple(done.values())


def _list(data: Mapping[str, Any], key: str, place: Any) -> list[Any]:
    value = data.get(key)
    if not isinstance(value, (list, tuple)) or not value:
        raise SpecError(f"{key!r} is a list with at least one entry, got {value!r}.", where=place(key))
    return list(value)


def _input_from(item: Any, spot: str) -> InputSpec:
    from harness.spec.notation import Input

    if not isinstance(item, Mapping) or "shape" not in item:
        raise SpecError(f"an input is written {{name: image, shape: [28, 28]}}, got {item!r}.", where=spot)
    for key in item:
        if key not in ("name", "shape", "dtype"):
            raise SpecError(f"unknown key {key!r}.", where=spot, hint=did_you_mean(key, ("name", "shape", "dtype")))
    shape, name = item["shape"], item.get("name", "input")
    if not isinstance(name, str) or not isinstance(shape, (list, tuple)):
        raise SpecError(f"an input has a text name and a list as its shape, got {item!r}.", where=spot)
    try:
        tensor = Input(shape, dtype=item.get("dtype"), name=name)
    except SpecError as error:
        raise error.at(spot) from None
    return InputSpec(name, tensor.shape, tensor.dtype)


def _entry(item: Any, spot: str) -> tuple[str, dict[str, Any]]:
    if isinstance(item, str):
        return item, {}
    if isinstance(item, Mapping) and len(item) == 1:
        ((key, body),) = item.items()
        if body is None or isinstance(body, Mapping):
            return str(key), {str(name): value for name, value in (body or {}).items()}
    raise SpecError(f"a layer is written 'Name' or {{Name: {{arguments}}}}, got {item!r}.", where=spot)


def _new_layer(key: str, body: dict[str, Any], layers: dict[str, Layer], taken: set[str], spot: str) -> str:
    try:
        cls = LAYERS.find(key)
        if body.get("name") is None:
            base = name = snake_case(cls.__name__)
            number = 0
            while name in layers or name in taken:
                number += 1
                name = f"{base}_{number}"
            body["name"] = name
        layer = cls(**body)
    except SpecError as error:
        raise error.at(spot) from None
    name = str(body["name"])
    if name in layers or name in taken:
        raise SpecError(f"two layers are named {name!r}; names must be unique.", where=spot)
    layers[name] = layer
    return name


def _call_label(body: dict[str, Any], layers: dict[str, Layer], spot: str) -> str:
    label = body.get("layer")
    if set(body) != {"layer"} or label not in layers:
        raise SpecError(f"a shared layer is called as {{call: {{layer: name, inputs: [...]}}}}, got {body!r}.",
                        where=spot, hint=did_you_mean(label, layers))
    return str(label)


def save_model(model: ModelSpec, path: Path | str) -> None:
    """Writes the spec as .yaml, .yml or .json."""
    write_data(model_to_data(model), path)


def read_model(path: Path | str) -> ModelSpec:
    """Reads a spec from .yaml, .yml or .json. Raises SpecError with file and line."""
    document = read_document(path)
    return model_from_data(document.data, where=str(path), document=document)
