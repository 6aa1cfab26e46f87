"""JSON Schema of what users write, made from the vocabulary itself, for editors and other programs.

A field whose reader takes shorthands (3 for (3, 3), a name for an object) is left open unless it belongs to a
family: a schema that refuses what the harness takes would be worse than one that lets a mistake pass.
"""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import AfterValidator, BeforeValidator, PlainValidator, TypeAdapter, WrapValidator
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from harness.spec.configured import Configured, Family, snake_case

DRAFT = "https://json-schema.org/draft/2020-12/schema"
OPEN_READERS = (BeforeValidator, PlainValidator, WrapValidator)


def json_schema(kind: str) -> dict[str, Any]:
    """The schema of "model", "recipe", "data", "execution" or "experiment"."""
    definitions: dict[str, Any] = {}
    make = {"model": model_schema, "experiment": experiment_schema}.get(kind)
    root = make(definitions) if make else class_schema(_class(kind), definitions)
    return {"$schema": DRAFT, "title": kind, **root, "$defs": dict(sorted(definitions.items()))}


def _class(kind: str) -> type[Configured]:
    from harness.spec.dataset import DatasetSpec
    from harness.spec.execution import Execution
    from harness.spec.recipe import Recipe

    classes: dict[str, type[Configured]] = {"recipe": Recipe, "data": DatasetSpec, "execution": Execution}
    return classes[kind]


def model_schema(definitions: dict[str, Any]) -> dict[str, Any]:
    """A model: inputs, layers (the whole vocabulary), outputs."""
    from harness.spec.layers import LAYERS

    call = {"inputs": {"type": ["array", "string"], "items": {"type": "string"}}, "arguments": {"type": "object"}}
    choices = {}
    for name, cls in sorted(LAYERS.classes.items()):
        body = class_schema(cls, definitions)
        body["properties"] = {"name": {"type": "string"}, **body["properties"], **call}
        definitions[name] = body
        choices[name] = {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}
    shared = {"type": "object", "required": ["layer"], "properties": {"layer": {"type": "string"}, **call}}
    definitions["layer"] = _named(choices | {"call": shared}, _names(LAYERS))
    dimension = {"type": ["integer", "null"], "minimum": 1}
    entry = {
        "type": "object", "required": ["shape"], "additionalProperties": False,
        "properties": {"name": {"type": "string"}, "shape": {"type": "array", "items": dimension},
                       "dtype": {"type": "string"}},
    }
    return {
        "type": "object", "additionalProperties": False, "required": ["inputs", "layers"],
        "properties": {
            "name": {"type": "string"},
            "inputs": {"type": "array", "minItems": 1, "items": entry},
            "layers": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/layer"}},
            "outputs": {"type": ["array", "string"], "items": {"type": "string"}},
        },
    }


def experiment_schema(definitions: dict[str, Any]) -> dict[str, Any]:
    """An experiment: every key is optional, the model apart."""
    from harness.spec.axes import SECTIONS, axis_names
    from harness.spec.experiment import KEYS, VARIANT_KEYS
    from harness.spec.judging import Judging
    from harness.spec.timing import Timing

    for section, cls in SECTIONS.items():
        definitions[section] = class_schema(cls, definitions)
        definitions[section].pop("required", None)  # what a section leaves out has a default here
    several = {"type": ["array", "string", "number", "boolean", "object"]}
    model = {"anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1}]}
    sections = {"data": {"anyOf": [{"$ref": "#/$defs/data"}, {"type": ["string", "object"]}]},
                "recipe": {"$ref": "#/$defs/recipe"}, "execution": {"$ref": "#/$defs/execution"}}
    variant = {"type": "object", "required": ["name"], "additionalProperties": False,
               "properties": {key: {**sections, "name": {"type": "string"}, "model": model}[key]
                              for key in VARIANT_KEYS}}
    properties = {
        "name": {"type": "string"}, "question": {"type": "string"}, "model": model, **sections,
        "backend": several, "seed": several,
        "matrix": {"type": "object", "properties": dict.fromkeys(axis_names(), several)},
        "variants": {"type": "array", "minItems": 1, "items": variant},
        "exclude": {"type": "array", "items": {"type": "object", "minProperties": 1}},
        "verdict": class_schema(Judging, definitions),
        "certify": {"type": "boolean"},
        "timing": {"anyOf": [class_schema(Timing, definitions), {"type": "boolean"}]},
        "inspect": {"type": "boolean"},
    }
    return {"type": "object", "additionalProperties": False, "properties": {key: properties[key] for key in KEYS}}


def class_schema(cls: type[Configured], definitions: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a class as an object."""
    properties, required = {}, []
    for name, field in cls.model_fields.items():
        if field.exclude:
            continue
        properties[name] = _field(name, field, definitions)
        if field.is_required():
            required.append(name)
    found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        found["required"] = required
    if cls.__doc__:
        found["description"] = " ".join(cls.__doc__.split())
    return found


def _field(name: str, field: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    family = _families().get(_family_of(name))
    if family is not None:
        what = family.what.replace(" ", "_")
        if what not in definitions:
            definitions[what] = {}  # a family may hold itself (a schedule in an optimizer): no endless descent
            definitions[what] = family_schema(family, definitions)
        others = ["object", "array"] if what == "loss" else []  # a loss may be given per output
        return {"anyOf": [{"$ref": f"#/$defs/{what}"}, {"type": [*others, "null"]}]}
    nested = _configured(field.annotation)
    if nested is not None:
        definitions.setdefault(nested.__name__, class_schema(nested, definitions))
        return {"anyOf": [{"$ref": f"#/$defs/{nested.__name__}"}, {"type": ["string", "array", "boolean", "null"]}]}
    if name == "phases":
        from harness.spec.recipe import Phase

        definitions.setdefault("phase", class_schema(Phase, definitions))
        return {"type": ["array", "null"], "items": {"$ref": "#/$defs/phase"}}
    if any(isinstance(item, OPEN_READERS) for item in _metadata(field)):
        return {}
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(typing.Annotated[(field.annotation, *field.metadata)]) \
            if field.metadata else TypeAdapter(field.annotation)
        found = adapter.json_schema()
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
        return {}
    return {} if "$defs" in found else found


def _metadata(field: Any) -> list[Any]:
    """Validators of a field, those inside its annotation included."""
    found, waiting = list(field.metadata), [field.annotation]
    while waiting:
        item = waiting.pop()
        found += getattr(item, "__metadata__", ())
        waiting += [part for part in typing.get_args(item) if part is not item and not isinstance(part, str)]
    return [item for item in found if not isinstance(item, AfterValidator)]


def _configured(annotation: Any) -> type[Configured] | None:
    """The Configured class that a field holds, alone or beside None."""
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    for part in parts:
        if isinstance(part, type) and issubclass(part, Configured) and part.model_fields:
            return part
    return None


def family_schema(family: Family[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A name, or {Name: {arguments}}."""
    choices = {}
    for name, cls in sorted(family.classes.items()):
        choices[name] = {"anyOf": [class_schema(cls, definitions), {"type": "null"}]}
    return _named(choices, _names(family))


def _named(choices: dict[str, Any], names: list[str]) -> dict[str, Any]:
    spelled = {snake_case(name): body for name, body in choices.items()}
    return {"anyOf": [
        {"enum": names},
        {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
         "properties": spelled | choices},
        {"type": "object", "required": ["class_name"]},
    ]}


def _names(family: Family[Any]) -> list[str]:
    return family.names()


def _family_of(field: str) -> str:
    for ending in ("initializer", "regularizer", "constraint"):
        if field.endswith(ending):
            return ending
    return {"loss": "loss", "optimizer": "optimizer"}.get(field, "")


def _families() -> dict[str, Family[Any]]:
    from harness.spec.constraints import CONSTRAINTS
    from harness.spec.initializers import INITIALIZERS
    from harness.spec.losses import LOSSES
    from harness.spec.optimizers import OPTIMIZERS
    from harness.spec.regularizers import REGULARIZERS

    return {"initializer": INITIALIZERS, "regularizer": REGULARIZERS, "constraint": CONSTRAINTS, "loss": LOSSES,
            "optimizer": OPTIMIZERS}
