"""Where Keras's weight files hold the weights of each layer.

A file made by Keras 3 (keras/src/saving/saving_lib.py: _save_state) follows the attributes of Python objects: a
layer's own variables are vars/0, vars/1, ..., those of a layer inside it stand under the attribute's name
("cell/vars/0"). Within a model, layers stand under layers/, named by their class, numbered in the model's order.

A legacy file (keras/src/legacy/saving/legacy_h5_format.py) lists for each layer of the model the trainable weights
and then the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.spec.configured import snake_case
from harness.spec.initializers import Zeros
from harness.spec.keras_config import KerasModel, StoredLayer
from harness.spec.layers.base import Layer
from harness.spec.model import NamedWeight

# Role's first part -> the attribute of the layer; Keras 2 and some classes have it with a leading underscore.
PROJECTIONS = {"query": "query_dense", "key": "key_dense", "value": "value_dense", "gate": "gate_dense",
               "attention_output": "output_dense"}
# Classes whose weights are those of the cell they hold.
WITH_CELL = frozenset({"SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
# Python's names of Keras classes, where they are not the exported ones.
CLASS_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}


@dataclass(frozen=True)
class Stored:
    """A weight and where it may stand: paths in order of preference. doubles: where Keras stores it once more."""

    weight: NamedWeight
    paths: tuple[str, ...]
    doubles: tuple[str, ...] = ()


def places(layer: Layer, roles: Sequence[str]) -> list[tuple[str, ...]]:
    """For each role, the paths below the layer's group at which its array may stand."""
    name = layer.canonical_name()
    held: Any = layer
    if name in WITH_CELL:
        return [(f"cell/vars/{index}",) for index in range(len(roles))]
    if name == "RNN":
        return [_below("cell", paths) for paths in places(held.cell, roles)]
    if name == "StackedRNNCells":
        cells = _numbered(cell.canonical_name() for cell in held.cells)
        parts = [(f"cells/{cells[index]}", cell) for index, cell in enumerate(held.cells)]
        return _parts(roles, {str(index): part for index, part in enumerate(parts)})
    if name == "Bidirectional":
        return _parts(roles, {"forward": ("forward_layer", held.layer), "backward": ("backward_layer", held.second)})
    if name == "TimeDistributed":
        return [_below("layer", paths) for paths in places(held.layer, roles)]
    if name == "SpectralNormalization":
        # Its own are the kernel, a second time, and vector_u; the inner layer has the kernel and the others.
        inner = iter(places(held.layer, [role for role in roles if role != "vector_u"]))
        return [("vars/1",) if role == "vector_u" else _below("layer", next(inner)) for role in roles]
    if roles and all(role.partition("/")[0] in PROJECTIONS and "/" in role for role in roles):
        marks = ("_", "") if name == "GroupQueryAttention" else ("", "_")
        return [_projection(roles, index, marks) for index in range(len(roles))]
    return [(f"vars/{index}",) for index in range(len(roles))]


def _parts(roles: Sequence[str], parts: Mapping[str, tuple[str, Layer]]) -> list[tuple[str, ...]]:
    """Roles that begin with the name of a part, each of which has an attribute and a layer."""
    found = {}
    for name, (attribute, layer) in parts.items():
        inner = [role.partition("/")[2] for role in roles if role.partition("/")[0] == name]
        found[name] = [_below(attribute, paths) for paths in places(layer, inner)]
    return [found[role.partition("/")[0]].pop(0) for role in roles]


def _numbered(class_names: Iterable[str]) -> list[str]:
    """Groups by class, the second of a class with _1 behind it (saving_lib.py: _get_unique_name)."""
    taken: dict[str, int] = {}
    names = []
    for class_name in class_names:
        base = snake_case(CLASS_NAMES.get(class_name, class_name))
        number = taken[base] = taken.get(base, -1) + 1
        names.append(f"{base}_{number}" if number else base)
    return names


def _below(attribute: str, paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{attribute}/{path}" for path in paths)


def _projection(roles: Sequence[str], index: int, marks: tuple[str, str]) -> tuple[str, ...]:
    first = roles[index].partition("/")[0]
    number = sum(role.partition("/")[0] == first for role in roles[:index])
    return tuple(f"{mark}{PROJECTIONS[first]}/vars/{number}" for mark in marks)


# What an adapted Normalization has as weights in Keras and as arguments in a spec; their shapes are the file's.
ADAPTED = ("mean", "variance", "count")


def stored_weights(model: KerasModel) -> list[Stored]:
    """Every weight of the model with its paths in a file of Keras 3. A layer that stands in several models is stored
    where it is met first."""
    return list(_stored_weights(model))


def layer_paths(stored: StoredLayer, prefix: str = "layers") -> Iterator[tuple[StoredLayer, str]]:
    """Every layer, inner models laid open, and the path of its group."""
    for child, name in zip(stored.children, _numbered(item.class_name for item in stored.children), strict=True):
        path = f"{prefix}/{name}"
        if child.label is not None:
            yield child, path
        else:
            yield from layer_paths(child, f"{path}/{child.holder}/layers" if child.holder else f"{path}/layers")


def _first_places(model: KerasModel) -> Iterator[tuple[StoredLayer, str]]:
    """The layers that are called, each once."""
    met: set[str] = set()
    for child, path in layer_paths(model.stored):
        if child.label is not None and child.label in model.spec.first_calls and child.label not in met:
            met.add(child.label)
            yield child, path


def _stored_weights(model: KerasModel) -> Iterator[Stored]:
    for child, path in _first_places(model):
        assert child.label is not None
        weights = layer_weights(model, child.label)
        layer: Any = model.spec.layers[child.label]
        layer = layer.layer if child.bare else layer
        for weight, paths in zip(weights, places(layer, [weight.role for weight in weights]), strict=True):
            double = layer.canonical_name() == "SpectralNormalization" and weight is weights[0]
            yield Stored(weight, _below(path, paths), (f"{path}/vars/0",) if double else ())


def stored_frequencies(model: KerasModel) -> dict[str, tuple[str, ...]]:
    """The lookup layers with inverse document frequencies, which are arguments in a spec, and every path at which Keras
    stores them (index_lookup.py, text_vectorization.py: save_own_variables)."""
    found = {}
    for child, path in _first_places(model):
        assert child.label is not None
        layer: Any = model.spec.layers[child.label]
        if getattr(layer, "idf_weights", None) is not None:
            inner = (f"{path}/_lookup_layer/vars/idf_weights",) if hasattr(layer, "lookup") else ()
            found[child.label] = (f"{path}/vars/idf_weights", *inner)
    return found


def layer_weights(model: KerasModel, label: str) -> list[NamedWeight]:
    """A layer's weights in Keras's order, those of an adapted Normalization among them."""
    if label in model.adapted:
        return [NamedWeight(f"{label}/{role}", label, role, (), Zeros(), False, None, 0) for role in ADAPTED]
    return [weight for weight in model.spec.weights if weight.layer == label]


def legacy_order(stored: StoredLayer, model: KerasModel) -> list[NamedWeight]:
    """The weights of one layer of a model (which may be a model) as a legacy file lists them."""
    weights = [weight for label in dict.fromkeys(_labels(stored)) if label in model.spec.first_calls
               for weight in layer_weights(model, label)]
    return [weight for flag in (True, False) for weight in weights if weight.trainable is flag]


def _labels(stored: StoredLayer) -> Iterator[str]:
    if stored.label is not None:
        yield stored.label
    for child in stored.children:
        yield from _labels(child)
