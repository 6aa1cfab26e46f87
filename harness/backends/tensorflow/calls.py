"""The calls of a model of `build_model`, one by one: what the certificate looks through when a session plays a step."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from harness.spec.model import Node

# id of Keras's symbol -> (a call's tensor, the copy that it reads).
Own = dict[int, tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True)
class Call:
    """A call of the spec, and the Keras node that it became."""

    node: Node
    keras_node: Any

    def outputs_of(self, made: Any) -> Iterator[tuple[str, tf.Tensor]]:
        """(reference, tensor) of what the call made."""
        yield from references(self.node.name, keras.tree.flatten(made))


def references(name: str, values: list[Any]) -> Iterator[tuple[str, Any]]:
    """A call's outputs by reference: "lstm", "lstm:1", ..."""
    for index, value in enumerate(values):
        yield (name if index == 0 else f"{name}:{index}"), value


@contextlib.contextmanager
def watched_calls(model: keras.Model, around: Callable[..., Any]) -> Iterator[None]:
    """Lets every call of the spec pass through around(call, operation, args, kwargs); the operations behind masks
    are Keras's own and run as ever. `build_model` made the model."""
    # keras/src/ops/function.py, not what stands before it in the model: a call that is computed again inside of
    # TensorFlow's own tape (remat.py) cannot be looked at.
    run, before = functools.partial(type(model)._run_through_graph, model), vars(model).get("_run_through_graph")

    def watched(inputs: Any, operation_fn: Any, call_fn: Any = None) -> Any:
        coming = _calls(model)

        def watched_operation(operation: Any) -> Callable[..., Any]:
            bound = operation_fn(operation)
            if id(operation) not in coming:
                return bound  # type: ignore[no-any-return]
            call = next(coming[id(operation)])
            return lambda *args, **kwargs: around(call, bound, args, kwargs)

        return run(inputs, operation_fn=watched_operation, call_fn=call_fn)

    vars(model)["_run_through_graph"] = watched
    try:
        yield
    finally:
        del vars(model)["_run_through_graph"]
        if before is not None:
            vars(model)["_run_through_graph"] = before


def _calls(model: keras.Model) -> dict[int, Iterator[Call]]:
    """id of an operation -> its calls in the order in which the model runs them."""
    spec_nodes = {node.name: node for node in model.harness_spec.nodes}
    known = {id(node): Call(spec_nodes[name], node) for name, node in model.harness_nodes.items()}
    calls: dict[int, list[Call]] = {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if id(node) in known:
                calls.setdefault(id(node.operation), []).append(known[id(node)])
    return {operation: iter(listed) for operation, listed in calls.items()}


def own_tensors(call: Call, args: Any, kwargs: Any) -> tuple[Any, Any, Own]:
    """(args, kwargs, copies): a call's arguments with a copy in the place of each of its tensors, so that what the
    call returns as it is stays a tensor of its own, and its gradient is by this call alone."""
    symbols, copies = call.keras_node.arguments, Own()

    def changed(symbol: Any, value: Any) -> Any:
        if not isinstance(symbol, keras.KerasTensor) or value is None:
            return value
        # One copy where a call reads a tensor twice: attention takes a mask from it but once.
        return copies.setdefault(id(symbol), (value, copied(value)))[1]

    args, kwargs = keras.tree.map_structure(changed, (symbols.args, symbols.kwargs), (args, kwargs))
    return args, kwargs, copies


def hand_on_taken_masks(copies: Own) -> None:
    """Takes from a call's tensors the masks that it took from its copies, as MultiHeadAttention does
    (keras/src/layers/attention/multi_head_attention.py)."""
    for value, copy in copies.values():
        if getattr(copy, "_keras_mask", None) is None and getattr(value, "_keras_mask", None) is not None:
            value._keras_mask = None


def copied(x: tf.Tensor) -> tf.Tensor:
    """Another tensor of the same values."""
    return marked_as(x, tf.identity(x))


def marked_as(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """y with what Keras hung on x: its mask, and the logits behind it."""
    for attribute in ("_keras_mask", "_keras_logits"):
        if getattr(x, attribute, None) is not None:
            setattr(y, attribute, getattr(x, attribute))
    return y
