"""The tensors that a call in a Keras config reads: (layer, which of its calls, which of its outputs)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import SpecError
from harness.spec.keras_config.values import is_serialized, plain_value, shape_of


@dataclass(frozen=True)
class TensorAt:
    """An output of a call, in the words of a config. shape, dtype: as the config states them, if it does."""

    layer: str
    call: int
    index: int
    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.layer, self.call


@dataclass(frozen=True)
class CallConfig:
    """One call of a layer: its arguments, in which tensors are `TensorAt` and all else is plain."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def read_call(node: Any, names: frozenset[str]) -> CallConfig:
    """A call as Keras 3 ({"args", "kwargs"}) or Keras 2 ([[layer, call, output, kwargs], ...]) writes it."""
    if isinstance(node, Mapping):
        if not isinstance(node.get("args"), (list, tuple)) or not isinstance(node.get("kwargs"), Mapping):
            raise SpecError("a call is written {args: [...], kwargs: {...}}.")
        return CallConfig(tuple(_value(item) for item in node["args"]),
                          {str(key): _value(item) for key, item in node["kwargs"].items()})
    if not isinstance(node, (list, tuple)) or not node:
        raise SpecError(f"cannot read the call {str(node)[:80]!r}.")
    if isinstance(node[0], str):
        node = [node]
    tensors, kwargs = [], {}
    for item in node:
        if not isinstance(item, (list, tuple)) or len(item) not in (3, 4):
            raise SpecError(f"cannot read the call {str(item)[:80]!r}.")
        tensors.append(_at(item[:3]))
        if len(item) == 4 and isinstance(item[3], Mapping):
            kwargs.update({str(key): _old_value(value, names) for key, value in item[3].items()})
    return CallConfig((tensors[0] if len(tensors) == 1 else tensors,), kwargs)


def read_places(value: Any) -> list[TensorAt]:
    """`input_layers` or `output_layers`, flat: one, a list or a dict (by key, as Keras flattens it)."""
    if _is_place(value):
        return [_at(value)]
    if isinstance(value, Mapping):
        parts = value["config"] if is_serialized(value) else [value[key] for key in sorted(value)]
        if value.get("class_name") == "__tuple__" and "items" in value:
            parts = value["items"]
        value = parts
    if isinstance(value, (list, tuple)):
        return [place for part in value for place in read_places(part)]
    raise SpecError(f"expected [layer, call, output], got {str(value)[:80]!r}.")


def _is_place(value: Any) -> bool:
    return (isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str)
            and all(isinstance(part, int) and not isinstance(part, bool) for part in value[1:]))


def _at(value: Any) -> TensorAt:
    if not _is_place(value) or min(value[1:]) < 0:
        raise SpecError(f"expected [layer, call, output], got {str(value)[:80]!r}.")
    return TensorAt(value[0], value[1], value[2])


def _value(value: Any) -> Any:
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        place = config.get("keras_history") if isinstance(config, Mapping) else None
        at = _at(place)
        shape = config.get("shape") if isinstance(config, Mapping) else None
        dtype = config.get("dtype") if isinstance(config, Mapping) else None
        return TensorAt(at.layer, at.call, at.index, None if shape is None else shape_of(shape),
                        dtype if isinstance(dtype, str) else None)
    if isinstance(value, Mapping) and not is_serialized(value) and "class_name" not in value:
        return {str(key): _value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(item) for item in value]
    return plain_value(value)


def _old_value(value: Any, names: frozenset[str]) -> Any:
    """Keras 2 writes a tensor among the arguments of a call as [layer, call, output]."""
    if _is_place(value) and value[0] in names:
        return _at(value)
    if isinstance(value, (list, tuple)):
        return [_old_value(item, names) for item in value]
    return plain_value(value)


def mapped(value: Any, change: Callable[[TensorAt], Any]) -> Any:
    """The value with every tensor in it changed; mappings are flattened by key, as Keras does."""
    if isinstance(value, TensorAt):
        return change(value)
    if isinstance(value, Mapping) and any(tensors_of(item) for item in value.values()):
        return [mapped(value[key], change) for key in sorted(value)]
    if isinstance(value, (list, tuple)) and tensors_of(value):
        return [mapped(item, change) for item in value]
    return value


def tensors_of(value: Any) -> list[TensorAt]:
    """Every tensor in a value, in order."""
    if isinstance(value, TensorAt):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for key in sorted(value, key=str) for tensor in tensors_of(value[key])]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_of(item)]
    return []
