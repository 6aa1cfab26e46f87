"""What Keras serialises among a layer's arguments, as the plain values that the vocabulary takes.

Formats: keras/src/saving/serialization_lib.py (Keras 3: module, class_name, config, registered_name) and
keras/src/legacy/saving (Keras 2: class_name, config). Nothing is ever imported or run from a config.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError
from harness.spec.configured import as_meant

# How deep lists and mappings of a config may stand in each other.
DEEPEST = 120
# Where Keras's own classes live, in all the packages that carried them.
KERAS_MODULES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras", "builtins", "tensorflow_core")
LAMBDA = "Python code, which is never run here"


def check_plain(data: Any, where: str) -> None:
    """Raises SpecError unless the data is plain, finite and not too deep. Iterative: depth is what it looks for."""
    stack: list[tuple[Any, int]] = [(data, 1)]
    while stack:
        value, depth = stack.pop()
        if depth > DEEPEST:
            raise SpecError(f"the config nests more than {DEEPEST} levels deep.", where=where)
        if isinstance(value, Mapping):
            stack.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, (list, tuple)):
            stack.extend((item, depth + 1) for item in value)
        elif isinstance(value, float) and math.isnan(value):
            raise SpecError("the config holds a number that is none (NaN).", where=where)


def is_serialized(value: Any) -> bool:
    """Whether this is an object that Keras serialised."""
    return isinstance(value, Mapping) and isinstance(value.get("class_name"), str) and "config" in value


def is_keras(item: Mapping[str, Any]) -> bool:
    """Whether a serialised object says that it is one of Keras's own (Keras 2 says nothing)."""
    module = item.get("module")
    if module is None:
        return item.get("registered_name") in (None, item.get("class_name"))
    return isinstance(module, str) and any(module == own or module.startswith(own + ".") for own in KERAS_MODULES)


def plain_value(value: Any) -> Any:
    """Numbers, texts and lists as they are; serialised objects by their kind. Raises SpecError for code."""
    if is_serialized(value):
        return _object(value)
    if isinstance(value, Mapping):
        if value.get("class_name") in ("__tuple__", "TensorShape"):
            return tuple(plain_value(item) for item in value.get("items") or ())
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    return value


def _object(item: Mapping[str, Any]) -> Any:
    name, config = item["class_name"], item["config"]
    if name in ("__lambda__", "__typespec__"):
        raise SpecError(f"it holds {LAMBDA}.")
    if name in ("__tensor__", "__numpy__"):
        return _array(config) if isinstance(config, Mapping) else None
    if name == "__tuple__":
        return tuple(plain_value(part) for part in config or ())
    if name == "__slice__" and isinstance(config, Mapping):
        return slice(*(plain_value(config.get(key)) for key in ("start", "stop", "step")))
    if name == "__ellipsis__":
        return Ellipsis
    if name == "function":
        return _function(item, config)
    if not is_keras(item):
        registered = item.get("registered_name") or f"{item.get('module')}.{name}"
        raise SpecError(f"it holds an object of a class of its own ({registered}), which is code.")
    if not isinstance(config, Mapping):
        raise SpecError(f"the config of the {name} among its arguments is not a mapping.")
    arguments = {str(key): plain_value(part) for key, part in config.items()}
    for unused in ("input_axes", "output_axes"):
        if arguments.get(unused, 0) is None:
            del arguments[unused]
    if isinstance(arguments.get("seed"), Mapping):  # a SeedGenerator
        arguments["seed"] = _seed(arguments["seed"])
    return {"class_name": name, "config": arguments}


class Values(list[Any]):
    """The nested lists of an array, with its dtype."""

    dtype = "float32"

    def tolist(self) -> list[Any]:
        return list(self)


def _array(config: Mapping[str, Any]) -> Any:
    value = plain_value(config.get("value"))
    if not isinstance(value, list):
        return as_meant(value)
    values = Values(value)
    values.dtype = str(config.get("dtype") or "float32")
    return values


def _seed(value: Mapping[str, Any]) -> Any:
    config = value.get("config")
    return config.get("seed") if isinstance(config, Mapping) else None


def _function(item: Mapping[str, Any], config: Any) -> str:
    registered = item.get("registered_name")
    own = item.get("module") in (None, "builtins") and registered in (None, "function", config)
    if isinstance(config, str) and (own or is_keras({**item, "registered_name": None})):
        return config
    raise SpecError(f"it holds a function of its own ({registered or config}): {LAMBDA}.")


def dtype_of(value: Any) -> str | None:
    """The dtype policy's name. Raises SpecError for a quantised one."""
    if is_serialized(value):
        config = value["config"]
        if "Quantized" in value["class_name"] or "quantization" in str(value["class_name"]).lower():
            raise SpecError("it is quantised, which is not supported.", hint="Save the model before quantising it.")
        value = config.get("name") if isinstance(config, Mapping) else None
    if value is not None and not isinstance(value, str):
        raise SpecError(f"its dtype is no name: {value!r}.")
    return value


def shape_of(value: Any) -> tuple[int | None, ...]:
    """A shape of whole numbers and None. Raises SpecError for anything else."""
    value = plain_value(value)
    good = isinstance(value, (list, tuple)) and all(
        size is None or (isinstance(size, int) and not isinstance(size, bool)) for size in value)
    if not good:
        raise SpecError(f"expected a shape, a list of whole numbers and null, got {value!r}.")
    return tuple(value)
