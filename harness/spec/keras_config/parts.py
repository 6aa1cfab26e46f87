"""A Keras model's config taken apart: its layers, inner models and operations, and the calls between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import SpecError
from harness.spec.keras_config.definition import MOST_LAYERS, WRAPPER, Definition, Kind, Part
from harness.spec.keras_config.layers import MODELS, at_each_step, read_layer
from harness.spec.keras_config.lookups import is_adapted, with_stand_in
from harness.spec.keras_config.precision import with_known_dtype
from harness.spec.keras_config.references import CallConfig, TensorAt, read_call, read_places
from harness.spec.keras_config.refusals import Unsupported
from harness.spec.keras_config.values import is_serialized
from harness.spec.layers.base import Layer
from harness.spec.model import copy_layer

OPERATIONS = ("keras.src.ops", "keras.ops", "keras.src.activations")


class Reader:
    """Takes configs apart. problems: what cannot be carried over, collected while reading."""

    def __init__(self, usual_dtype: str | None, vocabularies: bool = False) -> None:
        """vocabularies: those of adapted lookup layers can be looked up."""
        self.usual_dtype = usual_dtype
        self.vocabularies = vocabularies
        self.problems: list[Unsupported] = []
        # Labels of the Normalization layers whose numbers are not in the config, but among the weights.
        self.adapted: list[str] = []
        # Lookup layers whose vocabulary is not in the config, at every place where they stand.
        self.lookups: dict[str, list[Part]] = {}
        self._labels: set[str] = set()
        # Keras marks an object that several models hold (serialization_lib.py: ObjectSharingScope), but loses the mark
        # of the place where it stands first, because get_config of a model copies.
        self._shared: dict[Any, Part] = {}
        self._unmarked: dict[tuple[str, str], list[Part]] = {}

    def definition(self, item: Mapping[str, Any], prefix: str, label: str, steps: bool = False) -> Definition:
        """A model's parts. prefix: what stands in front of their labels. steps: it is inside a TimeDistributed. Raises
        SpecError for a broken config."""
        config = item.get("config")
        if isinstance(config, list):  # a Sequential of Keras 2.2 and before
            config = {"name": "sequential", "layers": config}
        if not isinstance(config, Mapping) or not isinstance(config.get("layers"), list) or not config["layers"]:
            raise SpecError("a model's config has a list of layers under 'layers'.", where=label or "config")
        name = config.get("name")
        found = Definition(name if isinstance(name, str) and name else "model", item["class_name"], label, steps)
        if item["class_name"] == "Sequential":
            self._chain(found, config, item, prefix)
        else:
            self._graph(found, config, prefix)
        return found

    def _graph(self, found: Definition, config: Mapping[str, Any], prefix: str) -> None:
        items = [entry for entry in config["layers"] if is_serialized(entry)]
        if len(items) < len(config["layers"]):
            raise SpecError("an entry of 'layers' is no layer (class_name and config).", where=found.name)
        names = frozenset(_name(entry) for entry in items)
        for entry in items:
            part = self._part(entry, found, prefix)
            nodes = entry.get("inbound_nodes", [])
            if not isinstance(nodes, list):
                raise SpecError("'inbound_nodes' is a list.", where=part.label)
            try:
                part.calls = tuple(read_call(node, names) for node in nodes if node)
            except SpecError as error:
                raise error.at(part.label) from None
        if "input_layers" not in config or "output_layers" not in config:
            raise SpecError("a functional model's config has 'input_layers' and 'output_layers'.", where=found.name)
        inputs, outputs = (read_places(config[key]) for key in ("input_layers", "output_layers"))
        old = any(isinstance(node, list) for entry in items for node in entry.get("inbound_nodes", []))
        _count_from_zero(found, old)
        found.inputs = tuple(inputs)
        found.outputs = tuple(_shifted(place, found, old, ("Functional", "Model")) for place in outputs)
        for place in (*found.inputs, *found.outputs):
            if place.layer not in found.parts:
                raise SpecError(f"there is no layer {place.layer!r} among the model's.", where=found.name)

    def _chain(
        self, found: Definition, config: Mapping[str, Any], item: Mapping[str, Any], prefix: str
    ) -> None:
        """A Sequential as a graph: every layer reads the one before."""
        items = list(config["layers"])
        if not all(is_serialized(entry) for entry in items):
            raise SpecError("an entry of 'layers' is no layer (class_name and config).", where=found.name)
        if items[0]["class_name"] != "InputLayer":
            shape = _chain_shape(items[0], config, item)
            items.insert(0, {"class_name": "InputLayer", "config": {
                "name": f"{found.name}_input", "batch_shape": shape, "dtype": _input_dtype(items[0])}})
        before = None
        for entry in items:
            part = self._part(entry, found, prefix)
            part.calls = () if before is None else (CallConfig((before,), {}),)
            before = TensorAt(part.name, 0, 0)
        assert before is not None
        found.inputs, found.outputs = (TensorAt(_name(items[0]), 0, 0),), (before,)

    def _part(self, item: Mapping[str, Any], found: Definition, prefix: str) -> Part:
        name, class_name = _name(item), item["class_name"]
        if len(self._labels) >= MOST_LAYERS:
            raise SpecError(f"the model has more than {MOST_LAYERS:,} layers.")
        if name in found.parts:
            raise SpecError(f"two layers are named {name!r}; names must be unique.", where=found.name)
        known = self._seen(item, name, class_name)
        if known is not None:
            found.parts[name] = Part(known.kind, name, class_name, known.label, item, (), known.layer, known.model)
            if known.label in self.lookups:
                self.lookups[known.label].append(found.parts[name])
            return found.parts[name]
        label = self._label(prefix + name)
        part = found.parts[name] = Part(_kind(item), name, class_name, label, item)
        try:
            if part.kind == "model":
                inside = class_name == WRAPPER
                part.model = self.definition(item["config"]["layer"] if inside else item, f"{label}/", label,
                                             found.steps or inside)
            elif part.kind == "layer":
                layer = read_layer(self._whole(item, label, found.steps), label, self.usual_dtype)
                part.layer = at_each_step(layer, label) if found.steps else layer
                if is_adapted(item):
                    self.lookups[label] = [part]
            elif part.kind == "operation" and found.steps:
                raise SpecError("an operation on tensors inside a TimeDistributed is not supported.",
                                hint="Write it with a layer.")
        except SpecError as error:
            if part.kind == "model":
                raise
            self.problems.append(Unsupported(label, class_name, _reason(error, label), error.hint or ""))
        if part.kind in ("layer", "model"):
            if item.get("shared_object_id") is not None:
                self._shared[item["shared_object_id"]] = part
            else:
                self._unmarked.setdefault((class_name, name), []).append(part)
        return part

    def _seen(self, item: Mapping[str, Any], name: str, class_name: str) -> Part | None:
        """The part that this entry is, where another model holds the very same object."""
        mark = item.get("shared_object_id")
        if not isinstance(mark, (int, str)):
            return None
        if mark not in self._shared:
            earlier = self._unmarked.get((class_name, name), [])
            same = [part for part in earlier if _bare(part.item["config"]) == _bare(item["config"])]
            if len(same) == 1:
                self._shared[mark] = same[0]
        known = self._shared.get(mark)
        return known if known is not None and known.class_name == class_name else None

    def stand_ins(self) -> dict[str, Layer]:
        """The lookup layers that wait for their vocabulary."""
        return {label: part.layer for label, (part, *_) in self.lookups.items() if part.layer is not None}

    def take(self, learned: Mapping[str, Mapping[str, Any]]) -> None:
        """Gives lookup layers what they learned. Raises SpecError for what does not fit the layer."""
        for label, parts in self.lookups.items():
            if label not in learned:
                raise SpecError("its vocabulary was not found.", where=f"layer {label!r}")
            first = parts[0].layer
            assert first is not None
            try:
                layer = copy_layer(first, **learned[label])
            except SpecError as error:
                raise error.at(f"layer {label!r}") from None
            for part in parts:
                part.layer = layer

    def _whole(self, item: Mapping[str, Any], label: str, steps: bool) -> Mapping[str, Any]:
        """The layer with what goes without saying; an adapted lookup with a stand-in for its vocabulary.

        A Normalization that was adapted, or waits for it, has its numbers among the weights; those of a fresh one are
        0 and 1 (normalization.py: build). steps: it is in a model inside a TimeDistributed. Raises SpecError for
        layers whose numbers are nowhere to be found.
        """
        item = with_known_dtype(item, self.usual_dtype)
        config = item["config"]
        if is_adapted(item):
            return with_stand_in(item, self.vocabularies and not steps)
        if item["class_name"] != "Normalization" or not isinstance(config, Mapping) or config.get("mean") is not None:
            return item
        self.adapted.append(label)
        return {**item, "config": {**config, "mean": 0.0, "variance": 1.0}}

    def _label(self, wanted: str) -> str:
        """The name in the spec: what a spec's names may not hold is "_", and Keras's own "/" too were it equal."""
        base = "".join("_" if mark in ":@ \t\n" else mark for mark in wanted).lstrip("/") or "layer"
        label, number = base, 0
        while label.replace("/", "_") in self._labels:
            number += 1
            label = f"{base}_{number}"
        self._labels.add(label.replace("/", "_"))
        return label


def _bare(value: Any) -> Any:
    """A config without the marks of shared objects."""
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items() if key != "shared_object_id"}
    return [_bare(item) for item in value] if isinstance(value, (list, tuple)) else value


def _reason(error: SpecError, label: str) -> str:
    where = error.where or ""
    inner = where.replace(f" {label!r}", "")
    return f"{inner}: {error.message}" if inner else error.message


def _kind(item: Mapping[str, Any]) -> Kind:
    if item["class_name"] == "InputLayer":
        return "input"
    config = item["config"]
    held: Any = config.get("layer") if isinstance(config, Mapping) and item["class_name"] == WRAPPER else item
    if is_serialized(held) and held["class_name"] in MODELS:
        return "model"
    module = item.get("module")
    if isinstance(module, str) and module.startswith(OPERATIONS):
        return "operation"
    # A legacy file says no module; every layer's config says whether it is trained, and of what dtype it is.
    bare = module is None and isinstance(config, Mapping) and not {"trainable", "dtype"} & set(config)
    return "operation" if bare and set(item) >= {"name", "inbound_nodes"} else "layer"


def _name(item: Mapping[str, Any]) -> str:
    config = item["config"]
    inner = config.get("name") if isinstance(config, Mapping) else None
    name = item.get("name", inner)
    if not isinstance(name, str) or not name:
        raise SpecError(f"a {item['class_name']} of the config has no name.")
    if len(name) > 1000:
        raise SpecError(f"a layer's name has {len(name)} characters.")
    return name


def _chain_shape(first: Mapping[str, Any], config: Mapping[str, Any], item: Mapping[str, Any]) -> Any:
    inner = first["config"] if isinstance(first["config"], Mapping) else {}
    build = item.get("build_config")
    for shape in (inner.get("batch_input_shape"), inner.get("batch_shape"), config.get("build_input_shape"),
                  build.get("input_shape") if isinstance(build, Mapping) else None):
        if shape is not None:
            return shape
    raise SpecError("the input shape of the Sequential model is not known.",
                    hint="Build the model (give it an Input) before saving it.")


def _input_dtype(first: Mapping[str, Any]) -> str:
    """Keras feeds ids to an Embedding, floats to what else stands first."""
    return "int32" if first["class_name"] == "Embedding" else "float32"


def _count_from_zero(found: Definition, old: bool) -> None:
    """Keras 2 counts the calls of an inner model from 1, because the model itself is its call 0."""
    if not old:
        return
    for part in found.parts.values():
        part.calls = tuple(
            CallConfig(tuple(_shift_all(arg, found) for arg in call.args),
                       {key: _shift_all(value, found) for key, value in call.kwargs.items()})
            for call in part.calls
        )


def _shift_all(value: Any, found: Definition) -> Any:
    if isinstance(value, TensorAt):
        return _shifted(value, found, True, ())
    return [_shift_all(item, found) for item in value] if isinstance(value, (list, tuple)) else value


def _shifted(place: TensorAt, found: Definition, old: bool, classes: Sequence[str]) -> TensorAt:
    part = found.parts.get(place.layer)
    if part is None or part.kind != "model" or not (old or part.class_name in classes):
        return place
    return TensorAt(place.layer, max(place.call - 1, 0), place.index, place.shape, place.dtype)
