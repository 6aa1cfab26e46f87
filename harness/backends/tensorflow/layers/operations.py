"""Operations in Keras: instances of Keras's own classes (keras.src.ops), called on the tensors.

They are no layers there: no dtype policy, no weights, and a name of their own only as an `Operation`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.spec.layers.base import Shape
from harness.spec.operations.base import Operation
from harness.spec.operations.operands import Operand

# Fields of a spec layer that Keras's class does not take.
NOT_KERAS = frozenset({"name", "trainable", "input_shape", "activity_regularizer"})
# What Keras's image operations and their like are called in the module of their class.
MODULES = {"activations": "keras.src.activations.activations"}


# What Keras makes floating-point values of, in its own float32 where no dtype is given.
MADE_FLOATING = frozenset({"one_hot", "multi_hot"})
# Operations that take tensors alone: Keras asks for the dtype of a number.
NO_NUMBERS = frozenset({"heaviside", "hypot", "bitwise_and", "bitwise_or", "bitwise_xor"})


def build_operation(layer: Operation, name: str, dtype: str) -> keras.Operation:
    """The Keras operation. dtype: the network's, which "float32" stands for in the spec."""
    declared = layer.declared
    module = importlib.import_module(MODULES.get(declared.module, f"keras.src.ops.{declared.module}"))
    keras_class = getattr(module, declared.keras_class)
    settings = {item.name: getattr(layer, item.name) for item in declared.parameters if not item.kind}
    if settings.get("dtype") == "float32" or (declared.function in MADE_FLOATING and settings.get("dtype") is None):
        settings["dtype"] = None if dtype == "float32" and settings["dtype"] is None else dtype
    named = "name" in inspect.signature(keras_class.__init__).parameters
    operation = keras_class(**settings, name=name) if named else keras_class(**settings)
    operation.name = name
    if dtype == "float64" and declared.function in EXACT:
        operation.call = functools.partial(EXACT[declared.function], operation.call)
    return operation


def _of_floats(call: Callable[..., Any], x: Any) -> Any:
    """Keras takes means of whole numbers in float32 whatever the network's type."""
    return call(x if x.dtype.is_floating else tf.cast(x, "float64"))


def _exp2(call: Callable[..., Any], x: Any) -> Any:
    """Keras's own cannot be traced with float64 values."""
    return tf.pow(tf.constant(2.0, "float64"), tf.cast(x, "float64"))


def call_operation(
    operation: keras.Operation, layer: Operation, feeds: Sequence[Any], arguments: Mapping[str, Any],
    shapes: tuple[Shape, ...], dtype: str,
) -> Any:
    """The operation's result for the tensors `feeds` and the constants among `arguments`."""
    bound = layer.bind(shapes, arguments)
    args: list[Any] = []
    for item in layer.declared.operands:
        value = bound[item.name]
        if item.kind == "K":
            args.append(key_of(value))
        elif item.variadic:
            args.extend(_value(one, feeds, dtype) for one in value)
        elif isinstance(value, list):
            args.append([_value(one, feeds, dtype) for one in value])
        else:
            args.append(_value(value, feeds, dtype, layer.declared.function in NO_NUMBERS))
    if layer.declared.canonical_name == "ops.add" and _may_be_taken_for_a_bias(bound):
        operation.call = _added
    return operation(*args)


def _value(operand: Operand | None, feeds: Sequence[Any], dtype: str, arrays: bool = False) -> Any:
    if operand is None:
        return None
    if operand.index is not None:
        return feeds[operand.index]
    if isinstance(operand.value, Mapping):
        kind = operand.value["dtype"]
        return np.array(operand.value["array"], dtype if kind == "float32" else kind)
    if arrays and isinstance(operand.value, (int, float)):
        return np.array(operand.value, np.float32 if isinstance(operand.value, float) else np.int32)
    return operand.value


def key_of(items: Sequence[Any]) -> tuple[Any, ...]:
    """The key of `x[key]` from plain data."""
    return tuple(slice(*item["slice"]) if isinstance(item, Mapping) else Ellipsis if item == "..." else item
                 for item in items)


def _may_be_taken_for_a_bias(bound: Mapping[str, Operand]) -> bool:
    """Whether Keras's `add` (backend/tensorflow/numpy.py) may take (batch, 1, ...) for a bias: once it knows the
    batch's size."""
    second = bound["x2"].shape
    return bound["x1"].shape != second and bool(second) and second[0] is None and all(
        size == 1 for size in second[1:])


def _added(x1: Any, x2: Any) -> Any:
    kind = keras.backend.result_type(*(getattr(x, "dtype", type(x)) for x in (x1, x2)))
    return tf.add(keras.ops.convert_to_tensor(x1, kind), keras.ops.convert_to_tensor(x2, kind))


# Operation -> what it does in float64, where Keras's own falls back to float32 or fails.
EXACT: dict[str, Callable[..., Any]] = {"mean": _of_floats, "var": _of_floats, "exp2": _exp2}
