"""The Keras model as a port is compared with it: activations as layers of their own, and without dropout.

A hand-written module has its activations between its modules (Linear, then ReLU), Keras inside its layers. Dropout is
left out on both sides; its rates are compared as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.certify.ports.rules import RECURRENT, SEVERAL, SINGLE
from harness.errors import SpecError
from harness.spec.layers.activation import ReLU
from harness.spec.layers.core import Activation
from harness.spec.model import ModelSpec, Node, Reference, copy_layer

# Arguments of layers that drop or add noise.
RANDOM = ("rate", "dropout", "recurrent_dropout", "stddev")

# The slope of Keras's activation "leaky_relu", and a bound that no tensor reaches.
LEAKY, LARGEST = 0.2, 1e30


@dataclass(frozen=True)
class Expanded:
    """spec: the model to compare with. outputs: output of the model as it was -> as it is here. drops: (layer, rate)
    of every call that drops, in the order of the calls. owners: activation's layer -> the layer that it was taken out
    of."""

    spec: ModelSpec
    outputs: Mapping[str, str]
    drops: tuple[tuple[str, float], ...]
    owners: Mapping[str, str]


def expand(spec: ModelSpec) -> Expanded:
    """Raises SpecError for what cannot be compared with a module that the harness did not build."""
    layers: dict[str, Any] = {}
    split: dict[str, str] = {}
    for name, layer in spec.layers.items():
        if layer.regularizes_activity:
            raise SpecError("activity regularizers are not compared with a port: their penalty has no place in it.",
                            where=f"model {spec.name!r}, layer {name!r}", hint="Leave activity_regularizer out.")
        layer = exact(_quiet(layer))
        activation = getattr(layer, "activation", None)
        if type(layer).__name__ in {*SINGLE, *SEVERAL} - set(RECURRENT) and activation not in (None, "linear"):
            split[name] = _free(f"{name}_activation", spec)
            layer = copy_layer(layer, activation=None)
        layers[name] = layer
    nodes: list[Node] = []
    renamed: dict[str, str] = {}
    owners: dict[str, str] = {}
    for node in spec.nodes:
        nodes.append(replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs),
                             arguments={key: _renamed(value, renamed) for key, value in node.arguments.items()}))
        if node.layer in split:
            again = node.name != node.layer
            own = _free(f"{node.name.replace('@', '_')}_activation", spec) if again else split[node.layer]
            owners[own] = node.layer
            layers[own] = exact(Activation(activation=getattr(spec.layers[node.layer], "activation", None), name=own))
            nodes.append(Node(own, own, (node.name,)))
            renamed[node.name] = own
    outputs = tuple(renamed.get(name, name) for name in spec.outputs)
    made = ModelSpec(spec.name, spec.inputs, layers, tuple(nodes), outputs)
    drops = tuple((node.layer, rate) for node in spec.nodes for rate in _rates(spec.layers[node.layer]))
    return Expanded(made, dict(zip(spec.output_names, made.output_names, strict=True)), drops, owners)


def exact(layer: Any) -> Any:
    """TensorFlow's LeakyRelu kernel has its slope in float32, whatever the tensor's precision. In float64 that is a
    difference of 1e-8 to every port, and no one's mistake: the same function is taken in another form."""
    kind = type(layer).__name__
    slope = layer.negative_slope if kind == "LeakyReLU" else LEAKY if kind == "Activation" and \
        layer.activation == "leaky_relu" else None
    return layer if slope is None else ReLU(max_value=LARGEST, negative_slope=slope, name=layer.name)


def by_output(value: Any, outputs: Mapping[str, str]) -> Any:
    """A recipe's entry per output under the outputs' names here."""
    if isinstance(value, Mapping) and value and set(value) <= set(outputs):
        return {outputs[name]: item for name, item in value.items()}
    return value


def _rates(layer: Any) -> list[float]:
    inner = getattr(layer, "layer", None)
    found = [] if inner is None or not hasattr(inner, "trainable") else _rates(inner)
    return found + [float(value) for name in RANDOM if (value := getattr(layer, name, None))
                    and isinstance(value, (int, float))]


def _quiet(layer: Any) -> Any:
    changes: dict[str, Any] = {name: 0.0 for name in RANDOM if isinstance(getattr(layer, name, None), float)}
    inner = getattr(layer, "layer", None)
    if inner is not None and hasattr(inner, "trainable") and _rates(inner):
        changes["layer"] = _quiet(inner)
    if not any(getattr(layer, name) for name in changes):
        return layer
    try:
        return copy_layer(layer, **changes)
    except SpecError as error:
        raise SpecError(f"a port is compared without randomness, and {type(layer).__name__} has no form without it: "
                        f"{error.message}") from None


def _free(name: str, spec: ModelSpec) -> str:
    while name in spec.layers:
        name += "_"
    return name


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Reference):
        return Reference(names.get(value.to, value.to))
    if isinstance(value, (list, tuple)):
        return [_renamed(item, names) for item in value]
    return value
