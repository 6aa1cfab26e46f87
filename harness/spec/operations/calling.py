"""Calls of operations in the functional notation: `ops.where(x > 0, x, 0.0)`, `ops.Mean(axis=1)(x)`, `x + 1`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.configured import as_meant
from harness.spec.operations.base import Declared, Operation, bind
from harness.spec.operations.operands import Operand


@functools.cache
def signature(declared: Declared) -> inspect.Signature:
    """Keras's own, for binding and for help()."""
    kinds = inspect.Parameter
    after = False
    parameters = []
    for item in declared.parameters:
        kind = kinds.VAR_POSITIONAL if item.variadic else kinds.KEYWORD_ONLY if after else kinds.POSITIONAL_OR_KEYWORD
        after = after or item.variadic
        parameters.append(kinds(item.name, kind, default=kinds.empty if item.variadic else item.default))
    return inspect.Signature(parameters)


def function(declared: Declared) -> Callable[..., Any]:
    """The function of keras.ops of that name, on symbolic tensors; `name=` names its node."""

    def call(*args: Any, **kwargs: Any) -> Any:
        name = kwargs.pop("name", None)
        given = bound_arguments(declared, args, kwargs)
        operands = {item.name for item in declared.operands}
        settings = {key: value for key, value in given.items() if key not in operands}
        operation = declared.operation(name=name, **settings)
        return call_operation(operation, (), {key: value for key, value in given.items() if key in operands})

    call.__name__ = declared.function.rpartition(".")[2]
    call.__qualname__ = declared.canonical_name
    call.__doc__ = f"keras.{declared.canonical_name}{declared.signature} on symbolic tensors."
    call.__signature__ = signature(declared)  # type: ignore[attr-defined]
    return call


def bound_arguments(declared: Declared, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> what was given. Raises SpecError for what the signature does not take."""
    try:
        given = dict(signature(declared).bind(*args, **kwargs).arguments)
    except TypeError as error:
        known = [item.name for item in declared.parameters]
        unknown = [key for key in kwargs if key not in known]
        hint = did_you_mean(unknown[0], known) if unknown else f"It is called as {declared.signature}."
        raise SpecError(f"{error}.", where=f"keras.{declared.canonical_name}", hint=hint) from None
    for item in declared.operands:
        if item.variadic and item.name in given:
            given[item.name] = list(given[item.name])
    return given


def call_operation(operation: Operation, inputs: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
    """Records a call. Operands come in order or by name, tensors and constants mixed. Returns a tensor, or a tuple."""
    from harness.spec.notation import Call, Tensor

    declared = operation.declared
    given = _given(declared, inputs, arguments, Tensor)
    operation.check_call(given)
    tensors: list[Tensor] = []
    call_arguments = _split(declared, given, tensors, Tensor)
    if not tensors:
        raise SpecError("none of the operands is a symbolic tensor, which comes from Input or from a layer.",
                        where=f"keras.{declared.canonical_name}", hint="Compute constants in NumPy.")
    shapes = tuple(tensor.shape for tensor in tensors)
    try:
        result = operation.call_shape(shapes, call_arguments)
    except SpecError as error:
        raise (error.at(f"layer {operation.name!r}") if operation.name else error) from None
    dtypes = operation.call_dtype(tuple(tensor.dtype for tensor in tensors), shapes, call_arguments)
    call = Call(operation, tuple(tensors), call_arguments)
    if result and isinstance(result[0], tuple):
        kinds = dtypes if isinstance(dtypes, tuple) else (dtypes,) * len(result)
        return tuple(Tensor(shape, kind, call, index)  # type: ignore[arg-type]
                     for index, (shape, kind) in enumerate(zip(result, kinds, strict=True)))
    return Tensor(result, dtypes, call)  # type: ignore[arg-type]


def _given(
    declared: Declared, inputs: tuple[Any, ...], arguments: Mapping[str, Any], tensor: type
) -> dict[str, Any]:
    """Operand -> what is given for it."""
    flat = [one for item in inputs for one in (item if isinstance(item, (list, tuple)) else [item])]
    named = any(_holds(value, tensor) for value in arguments.values())
    if flat and arguments and not named and all(isinstance(one, tensor) for one in flat):
        # Tensors in order and constants by name, as a ModelSpec holds a call.
        places = [Operand(one.shape, one.dtype, index) for index, one in enumerate(flat)]
        return {name: _unbound(value, flat) for name, value in bind(declared, places, arguments).items()}
    names = (item.name for item in declared.operands)
    return {**dict(zip(names, _grouped(declared, inputs), strict=False)), **arguments}


def _holds(value: Any, tensor: type) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds(item, tensor) for item in value)
    return isinstance(value, tensor)


def _unbound(value: Any, tensors: list[Any]) -> Any:
    """What was given for a bound operand: one of the tensors, or the constant."""
    if isinstance(value, list):
        return [_unbound(item, tensors) for item in value]
    if not isinstance(value, Operand):
        return value
    return value.value if value.index is None else tensors[value.index]


def _grouped(declared: Declared, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """A call with the tensors of a list one by one, as a ModelSpec holds them, is one with the list."""
    lists = [item for item in declared.operands if item.kind == "L"]
    if lists and len(declared.operands) == 1 and not (len(inputs) == 1 and isinstance(inputs[0], (list, tuple))):
        return (list(inputs),) if inputs else ()
    return inputs


def _split(declared: Declared, given: dict[str, Any], tensors: list[Any], tensor: type) -> dict[str, Any]:
    """Fills `tensors` in the order of the operands and returns the call's arguments.

    Markers are written only where the order of the tensors would not say where they belong.
    """
    arguments: dict[str, Any] = {}
    skipped = False
    several = sum(item.kind == "L" for item in declared.operands) > 1
    for item in declared.operands:
        value = given.get(item.name)
        if value is None or (type(value) in (int, float, bool) and repr(value) == repr(item.default)):
            skipped = skipped or not item.required
            continue
        if item.kind == "K":
            arguments[item.name] = plain_key(value)
        elif isinstance(value, tensor):
            if skipped:
                arguments[item.name] = {"input": len(tensors)}
            tensors.append(value)
        elif item.kind == "L":
            if not isinstance(value, (list, tuple)):
                raise SpecError(f"{item.name!r} is a list of tensors, got {value!r}.",
                                where=f"keras.{declared.canonical_name}")
            mixed = several or skipped or not all(isinstance(one, tensor) for one in value)
            places = [_place(one, tensors, tensor) for one in value]
            if mixed:
                arguments[item.name] = places
        else:
            arguments[item.name] = plain_constant(value, f"keras.{declared.canonical_name}, {item.name}")
    return arguments


def _place(value: Any, tensors: list[Any], tensor: type) -> Any:
    if isinstance(value, tensor):
        tensors.append(value)
        return {"input": len(tensors) - 1}
    return plain_constant(value, "a list of tensors")


def plain_constant(value: Any, where: str) -> Any:
    """A constant operand as plain data; NumPy's arrays and numbers keep their dtype."""
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return _array(value.tolist(), str(value.dtype))
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping) and set(value) in ({"input"}, {"array", "dtype"}):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return _array(_nested(value, where), _dtype(value))
    raise SpecError(f"expected a tensor, a number, an array or nested lists of numbers, got {value!r}.", where=where)


def _array(value: Any, dtype: str) -> dict[str, Any]:
    """Numbers that float32 holds are written as they were meant: 0.1, not 0.10000000149011612."""
    def meant(item: Any) -> Any:
        return [meant(inner) for inner in item] if isinstance(item, list) else as_meant(item)

    return {"array": meant(value) if dtype == "float32" else value, "dtype": dtype}


def _nested(value: Any, where: str) -> Any:
    if isinstance(value, (list, tuple)):
        return [_nested(item, where) for item in value]
    if isinstance(value, (bool, int, float)):
        return value
    if hasattr(value, "tolist"):
        return value.tolist()
    raise SpecError(f"expected nested lists of numbers, got {value!r} among them.", where=where)


def _dtype(value: Any) -> str:
    """TensorFlow's type of nested lists of numbers."""
    waiting, kinds = [value], set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, (list, tuple)):
            waiting.extend(item)
        else:
            kinds.add("bool" if isinstance(item, bool) else "int32" if isinstance(item, int) else "float32")
    return "float32" if "float32" in kinds or not kinds else "int32" if "int32" in kinds else "bool"


def plain_key(key: Any) -> list[Any]:
    """The key of `x[key]` as plain data: {"slice": [start, stop, step]}, "...", None, whole numbers."""
    return [_key_item(item) for item in (key if isinstance(key, (list, tuple)) else [key])]


def _key_item(item: Any) -> Any:
    if isinstance(item, slice):
        return {"slice": [None if part is None else _whole(part) for part in (item.start, item.stop, item.step)]}
    if item is Ellipsis or item == "...":
        return "..."
    if item is None or (isinstance(item, Mapping) and set(item) == {"slice"}):
        return item
    return _whole(item)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise SpecError(f"an index is a whole number, a slice, None or ..., got {value!r}.", where="tensor[...]",
                        hint="Use ops.take or ops.take_along_axis to pick by a tensor of indices.")
    return int(value.__index__())
