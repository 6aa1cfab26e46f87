"""Keras's config of a whole model -> ModelSpec.

Inner models are laid open: the layers of a model "encoder" are "encoder/dense" in the spec, and a model that is
called twice is its layers called twice. Sources: keras/src/models/functional.py (functional_from_config,
deserialize_node), keras/src/models/sequential.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import SpecError
from harness.spec import notation
from harness.spec.keras_config.calls import call_layer, call_operation
from harness.spec.keras_config.definition import WRAPPER, Definition, Part, StoredLayer
from harness.spec.keras_config.layers import MODELS
from harness.spec.keras_config.lookups import Learned
from harness.spec.keras_config.masks import is_implied
from harness.spec.keras_config.parts import Reader
from harness.spec.keras_config.precision import usual_dtype
from harness.spec.keras_config.references import CallConfig, TensorAt, mapped, tensors_of
from harness.spec.keras_config.refusals import Unsupported, UnsupportedModelError
from harness.spec.keras_config.values import check_plain, is_serialized, shape_of
from harness.spec.model import ModelSpec
from harness.spec.notation import Tensor

# A config that calls inner models in inner models can ask for any number of calls.
MOST_CALLS = 10_000


@dataclass(frozen=True)
class KerasModel:
    """A model read from its config. stored: its layers as Keras's weight files hold them. adapted: the Normalization
    layers whose mean and variance are not in the config: weights in Keras, arguments of the layer in a spec.
    looked_up: the lookup layers whose vocabulary is not in the config (lookups.py)."""

    spec: ModelSpec
    stored: StoredLayer
    adapted: tuple[str, ...] = ()
    looked_up: tuple[str, ...] = ()


def read_keras_config(config: Any, where: str = "config", learned: Learned | None = None) -> KerasModel:
    """The model of `model.to_json()`, of config.json in a .keras file, or of a legacy .h5 file's model_config.

    config: the JSON as plain data. learned: tells what adapted lookup layers learned; without it they are refused.
    Raises SpecError for a broken config, and UnsupportedModelError, with every part that has no counterpart, for a
    model that cannot be carried over.
    """
    check_plain(config, where)
    if not is_serialized(config):
        raise SpecError("this is no Keras model: it has no class_name and config.", where=where,
                        hint="Write it with model.to_json(), or save the model as .keras.")
    if config["class_name"] not in MODELS:
        own = Unsupported(str(config["class_name"]), "model", "it is a model class of its own, whose call is code",
                          "Rebuild it as a functional model: keras.Model(inputs, outputs).")
        raise UnsupportedModelError.of([own], where)
    try:
        reader = Reader(usual_dtype(config), learned is not None)
        top = reader.definition(config, "", "")
        if learned is not None and reader.lookups:
            reader.take(learned(top.stored, reader.stand_ins()))
        run = _Run(reader.problems)
        inputs = [_input(top.parts[place.layer]) for place in top.inputs]
        outputs = run.call(top, inputs)
        if reader.problems:
            raise UnsupportedModelError.of(reader.problems, where)
        spec, stored = notation.Model(inputs, outputs, name=top.name), top.stored
    except UnsupportedModelError:
        raise
    except SpecError as error:
        raise error.at(where) from None
    adapted, lookups = (tuple(label for label in labels if label in spec.layers)
                        for labels in (reader.adapted, reader.lookups))
    return KerasModel(spec, stored, adapted, lookups)


def _input(part: Part) -> Tensor:
    config = part.item["config"]
    if part.kind != "input" or not isinstance(config, Mapping):
        raise SpecError(f"the input {part.label!r} is no InputLayer.")
    for key in ("sparse", "ragged", "optional"):
        if config.get(key):
            raise SpecError(f"a {key} input is not supported.", where=part.label)
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    if shape is None:
        raise SpecError("the shape of the input is not known.", where=part.label)
    sizes = shape_of(shape)
    if not sizes:
        raise SpecError("an input's shape begins with the batch.", where=part.label)
    dtype = config.get("dtype")
    return notation.Input(batch_shape=sizes, dtype=dtype if isinstance(dtype, str) else None, name=part.label)


class _Run:
    """Calls models on symbolic tensors. What fails is written down, and the rest goes on as far as it can."""

    def __init__(self, problems: list[Unsupported]) -> None:
        self.problems = problems
        self.calls = 0

    def call(self, definition: Definition, given: list[Tensor]) -> list[Tensor]:
        """The model's outputs for these inputs. Raises SpecError for calls in a circle."""
        if len(given) != len(definition.inputs):
            raise SpecError(f"the model has {len(definition.inputs)} inputs and is called on {len(given)}.",
                            where=definition.label)
        values = {(*place.key, place.index): tensor for place, tensor in zip(definition.inputs, given, strict=True)}
        for key in _in_order(definition, {place.key for place in definition.inputs}):
            part = definition.parts[key[0]]
            self.calls += 1
            if self.calls > MOST_CALLS:
                raise SpecError(f"the model makes more than {MOST_CALLS:,} calls of layers.")
            try:
                results = self._result(definition, part, part.calls[key[1]], values)
            except SpecError as error:
                if part.kind == "model" and not isinstance(error, _RefusedCallError):
                    raise
                self._refuse(part, error)
                continue
            values.update({(*key, index): tensor for index, tensor in enumerate(results or ())})
        return [_value(place, values) for place in definition.outputs]

    def _result(
        self, definition: Definition, part: Part, call: CallConfig, values: dict[Any, Tensor]
    ) -> list[Tensor] | None:
        """The tensors that a call makes; None for a layer that was refused before."""
        args = [mapped(item, lambda place: _value(place, values)) for item in call.args]
        kwargs = {key: value for key, value in call.kwargs.items() if value is not None}
        implied = "mask" in kwargs and part.kind != "operation" and is_implied(definition, kwargs["mask"])
        if implied:
            del kwargs["mask"]
        named = {key: mapped(value, lambda place: _value(place, values)) for key, value in kwargs.items()}
        if part.kind == "operation":
            return call_operation(part, args, named)
        if part.kind == "model":
            if implied and part.class_name == WRAPPER:
                raise _RefusedCallError("a TimeDistributed around a model is called on masked sequences.")
            return self._inner(part, args, named)
        if definition.steps and len({len(tensor.shape) for tensor in _flat(args)}) > 1:
            raise SpecError("it merges tensors of different ranks, inside a TimeDistributed.")
        return None if part.layer is None else call_layer(part.layer, args, named, implied)

    def _inner(self, part: Part, args: list[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
        assert part.model is not None
        for key, value in kwargs.items():
            if not (key == "training" and value is False) and key not in ("inputs",):
                raise _RefusedCallError(f"it is called with {key}={value!r}, which is not supported.")
        return self.call(part.model, _flat([*args, *([kwargs["inputs"]] if "inputs" in kwargs else [])]))

    def _refuse(self, part: Part, error: SpecError) -> None:
        where = (error.where or "").replace(f"layer {part.label!r}", "").strip(": ")
        reason = f"{where}: {error.message}" if where else error.message
        self.problems.append(Unsupported(part.label, part.class_name, reason, error.hint or ""))


class _RefusedCallError(SpecError):
    """A call of an inner model with what it does not take."""


def _in_order(definition: Definition, given: set[tuple[str, int]]) -> list[tuple[str, int]]:
    """The calls behind the outputs, each after what it reads. Iterative: models are deep. Raises SpecError."""
    order: list[tuple[str, int]] = []
    done, path = set(given), set()
    stack = [place.key for place in reversed(definition.outputs)]
    needs: dict[tuple[str, int], list[tuple[str, int]]] = {}
    while stack:
        key = stack[-1]
        if key in done:
            stack.pop()
            continue
        if key not in needs:
            needs[key] = _reads(definition, key)
            path.add(key)
        waiting = [other for other in needs[key] if other not in done]
        if not waiting:
            done.add(key)
            path.discard(key)
            order.append(key)
            stack.pop()
            continue
        if any(other in path for other in waiting):
            raise SpecError(f"the layers form a cycle: {key[0]!r} reads what comes of its own output.",
                            where=definition.name)
        stack.extend(reversed(waiting))
    return order


def _reads(definition: Definition, key: tuple[str, int]) -> list[tuple[str, int]]:
    name, index = key
    part = definition.parts.get(name)
    if part is None:
        raise SpecError(f"there is no layer {name!r} in the model.", where=definition.name)
    if index >= len(part.calls):
        what = "it is an input, but none of the model's" if part.kind == "input" else f"it has {len(part.calls)} calls"
        raise SpecError(f"call {index} of {name!r} is read, and {what}.", where=definition.name)
    call = part.calls[index]
    named = [value for keyword, value in call.kwargs.items()
             if keyword != "mask" or part.kind == "operation" or not is_implied(definition, value)]
    return list(dict.fromkeys(place.key for value in (*call.args, *named) for place in tensors_of(value)))


def _value(place: TensorAt, values: Mapping[Any, Tensor]) -> Tensor:
    """The tensor; where its layer was refused, one of the shape that the config states, so that reading goes on."""
    found = values.get((*place.key, place.index))
    return found if found is not None else Tensor(place.shape or (None, None), place.dtype or "float32")


def _flat(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in _flat(item)] if isinstance(value, (list, tuple)) else []
