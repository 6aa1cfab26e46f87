"""The weights of a model under harness.keras: drawn once, then one set per framework, owned by the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.backends import BACKENDS, installed
from harness.errors import SpecError, did_you_mean
from harness.plan.initial import draw

if TYPE_CHECKING:
    from harness.keras.layers import Layer
    from harness.keras.model import Model


def halves() -> list[str]:
    """The frameworks that train here, TensorFlow first. Raises SpecError if none is installed."""
    found = [name for name in BACKENDS if installed(name)]
    if not found:
        raise SpecError("neither TensorFlow nor PyTorch is installed.", hint="pip install tensorflow torch")
    return found


def half_of(framework: str | None) -> str:
    """The half that answers: the one asked for, else TensorFlow's, else the only one."""
    known = halves()
    if framework is None:
        return known[0]
    if framework not in known:
        raise SpecError(f"there is no half {framework!r} here.", hint=did_you_mean(framework, known))
    return framework


def draw_missing(model: Model) -> None:
    """Draws the first weights of the layers that have none, the same for every framework."""
    graph = model.graph
    for label, layer in graph.layers.items():
        if layer.values:
            continue
        values = {weight.role: draw(weight, model.seed) for weight in graph.spec.weights if weight.layer == label}
        layer.values = {half: dict(values) for half in halves()}


def canonical(model: Model, half: str) -> dict[str, np.ndarray]:
    """Canonical name -> array of one half, in Keras's layouts."""
    draw_missing(model)
    return {
        weight.name: model.graph.layers[weight.layer].values[half][weight.role] for weight in model.graph.spec.weights
    }


def store(model: Model, half: str, weights: Mapping[str, np.ndarray]) -> None:
    """Puts canonical weights back into the layers that own them."""
    for weight in model.graph.spec.weights:
        model.graph.layers[weight.layer].values[half][weight.role] = weights[weight.name]


def value_of(model: Model, layer: Layer, role: str) -> np.ndarray:
    """One weight of the answering half, in the session's precision as Keras holds it."""
    from harness.keras.state import STATE

    draw_missing(model)
    return np.asarray(layer.values[half_of(None)][role], STATE.precision)


def as_list(model: Model, framework: str | None) -> list[np.ndarray]:
    """The arrays of one half in the order of Keras's `get_weights`."""
    from harness.keras.state import STATE

    named = canonical(model, half_of(framework))
    return [np.array(named[name], STATE.precision) for name in names_in_order(model)]


def set_list(model: Model, arrays: Sequence[Any]) -> None:
    """Sets every half from a list in the order of Keras's `set_weights`."""
    names = names_in_order(model)
    shapes = {weight.name: weight.shape for weight in model.graph.spec.weights}
    given = [np.array(array) for array in arrays]
    if len(given) != len(names):
        raise SpecError(f"the model has {len(names)} weights, got {len(given)}.", where=f"{model.name}.set_weights")
    for name, array in zip(names, given, strict=True):
        if array.shape != shapes[name]:
            raise SpecError(f"{name} has the shape {shapes[name]}, got {array.shape}.",
                            where=f"{model.name}.set_weights")
    draw_missing(model)
    for half in halves():
        store(model, half, dict(zip(names, given, strict=True)))


def names_in_order(model: Model) -> list[str]:
    """Canonical names in Keras's order: layer by layer, a called model's layers in its own order."""
    labels = model.graph.labels
    names: list[str] = []
    for layer in leaves(model.layers):
        if id(layer) in labels:
            label = labels[id(layer)]
            names += [f"{label}/{weight.role}" for weight in model.graph.spec.layer_weights(label)]
    return list(dict.fromkeys(names))


def leaves(items: Sequence[Any]) -> list[Any]:
    """Layers, those of models among them in their place."""
    return [leaf for item in items for leaf in (leaves(item.layers) if hasattr(item, "layers") else [item])]
