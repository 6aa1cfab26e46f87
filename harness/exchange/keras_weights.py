"""The weights in Keras's files under canonical names: every missing, extra and misfitting one in one error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from harness.errors import SpecError
from harness.exchange.keras_hdf5 import datasets, item_at, open_hdf5, read_array
from harness.exchange.keras_layout import ADAPTED, layer_weights, legacy_order, stored_frequencies, stored_weights
from harness.spec.keras_config import KerasModel, StoredLayer
from harness.spec.model import NamedWeight, copy_layer

Weights = dict[str, np.ndarray]
# The layers' group in files of Keras 2.12 and 2.13.
OLD_TOP = "_layer_checkpoint_dependencies"
# What stands beside the layers and is no weight of the model: the optimizer and metrics; the state of generators.
GENERATORS = re.compile(r"(^|/)_?(\w*seed_generator\w*|random_generator)(/|$)")
MOST_LISTED = 12


def check_size(model: KerasModel, size: int, where: str) -> None:
    """Raises SpecError where the config declares more numbers than a file of `size` bytes can hold."""
    declared = sum(weight.size for weight in model.spec.weights)
    # One byte per number at least; HDF5 packs zeros (of fresh biases) better than that, never a whole model.
    if declared > max(size, 1) * 4 + 2**20:
        raise SpecError(f"the config declares {declared:,} weights, and the file has {size:,} bytes.", where=where,
                        hint="It is truncated, or not what Keras wrote.")


def read_weights(file: Path | BinaryIO, model: KerasModel, where: str) -> tuple[KerasModel, Weights]:
    """The weights of a .weights.h5 file, or of the one in a .keras archive. Raises SpecError listing every misfit."""
    with open_hdf5(file, where) as root:
        top = OLD_TOP if "layers" not in root and OLD_TOP in root else "layers"
        wanted = stored_weights(model)
        table = _Table(where, model)
        used: set[str] = set()
        for item in wanted:
            paths = [under(top, path) for path in item.paths]
            found = _first(root, paths, where)
            if found is None:
                table.missing.append(f"{item.weight.name} {item.weight.shape} (at {paths[0]})")
                continue
            used.update((found[0], *item.doubles))
            table.take(item.weight, found[1], found[0])
        for label, places in stored_frequencies(model).items():
            paths = [under(top, path) for path in places]
            used.update(paths)
            if label in model.looked_up:
                table.take_frequencies(label, _first(root, paths, where), paths[0])
        groups = [part for part in (top, "vars") if part in root]
        for group in groups:
            below = item_at(root, group, where)
            extra = [f"{group}/{path}" for path in datasets(below, where)]
            table.extra += [path for path in extra if path not in used and not GENERATORS.search(path)]
        return table.finish()


def under(top: str, path: str) -> str:
    """A path as a file has it whose groups of layers are called `top` (saving_lib.py: H5IOStore.get)."""
    return "/".join(top if part == "layers" else part for part in path.split("/"))


def _first(root: Any, paths: list[str], where: str) -> tuple[str, Any] | None:
    for path in paths:
        found = item_at(root, path, where)
        if found is not None:
            return path, found
    return None


def read_legacy_weights(root: Any, model: KerasModel, where: str) -> tuple[KerasModel, Weights]:
    """The weights in the group `model_weights` of a legacy .h5 file. Raises SpecError listing every misfit."""
    table = _Table(where, model)
    known = set()
    for child in model.stored.children:
        known.add(child.name)
        expected = legacy_order(child, model)
        group = item_at(root, child.name, where)
        names = [] if group is None else _texts(group, "weight_names", where)
        if len(names) != len(expected):
            (table.missing if len(names) < len(expected) else table.extra).append(
                f"the layer {child.name!r} has {len(expected)} weights in the model and {len(names)} in the file")
            continue
        for weight, name in zip(expected, names, strict=True):
            found = item_at(group, name, where)
            if found is None:
                table.missing.append(f"{weight.name} {weight.shape} (at {child.name}/{name})")
            elif not _same_role(weight, name):
                table.wrong.append(f"{child.name}/{name} stands where {weight.name} is expected")
            else:
                table.take(weight, found, f"{child.name}/{name}")
    for name in _texts(root, "layer_names", where):
        if name not in known and _texts(item_at(root, name, where), "weight_names", where):
            table.extra.append(f"the layer {name!r}")
    return table.finish()


def _same_role(weight: NamedWeight, name: str) -> bool:
    last = name.rsplit("/", 1)[-1].split(":")[0]
    # A variable that Keras's code gives no name is called "variable", "variable_1", ...
    return last == weight.role.rsplit("/", 1)[-1] or re.fullmatch(r"variable(_\d+)?", last) is not None


def _texts(group: Any, name: str, where: str) -> list[str]:
    """An attribute that lists names; long lists are split into name0, name1, ... (HDF5's limit on attributes)."""
    if group is None:
        return []
    parts = [name] if name in group.attrs else []
    while not parts or parts[-1] != name:
        part = f"{name}{len(parts)}"
        if part not in group.attrs:
            break
        parts.append(part)
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
            for part in parts for item in np.ravel(group.attrs[part])]


class _Table:
    """Weights by canonical name, and what did not fit."""

    def __init__(self, where: str, model: KerasModel) -> None:
        self.where = where
        self.model = model
        self.weights: Weights = {}
        self.frequencies: dict[str, list[float]] = {}
        self.missing: list[str] = []
        self.extra: list[str] = []
        self.wrong: list[str] = []

    def take(self, weight: NamedWeight, dataset: Any, path: str) -> None:
        shape = getattr(dataset, "shape", None)
        if shape != weight.shape and not (weight.layer in self.model.adapted and shape is not None):
            self.wrong.append(f"{weight.name} is {weight.shape} in the model and {shape} in the file (at {path})")
            return
        self.weights[weight.name] = read_array(dataset, f"{self.where}: {path}")

    def take_frequencies(self, label: str, found: tuple[str, Any] | None, path: str) -> None:
        """Those of an adapted lookup; behind its tokens they are filled up to max_tokens."""
        layer: Any = self.model.spec.layers[label]
        size = len(layer.vocabulary)
        if found is None:
            self.missing.append(f"{label}/idf_weights ({size},) (at {path})")
            return
        array = read_array(found[1], f"{self.where}: {found[0]}")
        if array.ndim != 1 or len(array) < size or not np.isfinite(array).all():
            self.wrong.append(f"{label}/idf_weights has {size} tokens in the model and the shape {array.shape}, or "
                              f"numbers that are none, in the file (at {found[0]})")
            return
        self.frequencies[label] = array[:size].tolist()

    def finish(self) -> tuple[KerasModel, Weights]:
        """The model, adapted layers with their numbers, and the weights. Raises SpecError."""
        kinds = (("missing", self.missing), ("not in the model", self.extra), ("misfitting", self.wrong))
        problems = [f"{kind}: {_listing(items)}" for kind, items in kinds if items]
        if problems:
            raise SpecError(f"the weights do not fit the model; {'; '.join(problems)}.", where=self.where,
                            hint="Are they of another model?")
        return self._with_adapted(), self.weights

    def _with_adapted(self) -> KerasModel:
        layers = {}
        for label in self.model.adapted:
            mean, variance, _ = (self.weights.pop(f"{label}/{role}").tolist() for role in ADAPTED)
            layers[label] = copy_layer(self.model.spec.layers[label], mean=mean, variance=variance)
        for label, weights in self.frequencies.items():
            layers[label] = copy_layer(self.model.spec.layers[label], idf_weights=weights)
        return replace(self.model, spec=self.model.spec.with_layers(layers)) if layers else self.model


def _listing(items: list[str]) -> str:
    more = f" and {len(items) - MOST_LISTED} more" if len(items) > MOST_LISTED else ""
    return ", ".join(items[:MOST_LISTED]) + more


def live_weights(live: Any, model: KerasModel) -> tuple[KerasModel, Weights]:
    """The weights of a live keras.Model, by its layers' own order. Exact copies. Raises SpecError for a misfit."""
    table = _Table(f"model {model.spec.name!r}", model)
    for label, layer in live_layers(live, model.stored):
        expected = layer_weights(model, label) if label in model.spec.first_calls else []
        held = list(layer.weights)
        if len(held) != len(expected):
            table.wrong.append(f"the layer {label!r} has {len(expected)} weights in the spec and {len(held)} in Keras")
            continue
        for weight, variable in zip(expected, held, strict=True):
            array = np.array(variable.numpy())
            if array.shape != weight.shape and label not in model.adapted:
                table.wrong.append(f"{weight.name} is {weight.shape} in the spec and {array.shape} in Keras")
            table.weights[weight.name] = array
    return table.finish()


def live_layers(model: Any, stored: StoredLayer) -> Iterator[tuple[str, Any]]:
    """(label in the spec, Keras layer) of every layer, inner models laid open; each label once."""
    met: set[str] = set()
    waiting = [(model, stored)]
    while waiting:
        owner, item = waiting.pop()
        by_name = {layer.name: layer for layer in owner.layers}
        for child in item.children:
            if child.label is None:
                inner = by_name[child.name]
                waiting.append((getattr(inner, child.holder) if child.holder else inner, child))
            elif child.name in by_name and child.label not in met and child.class_name != "InputLayer":
                met.add(child.label)
                yield child.label, by_name[child.name]
