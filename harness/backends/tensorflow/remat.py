"""Rematerialization in TensorFlow: tf.recompute_grad, which keras.RematScope uses, around the rows of calls that
spec/remat.py names.

Not RematScope itself (keras/src/ops/operation.py: rematerialized_call): it fails in graphs, the second computation
moves moving averages and seeds on once more, and then draws other numbers, and recovered logits are lost behind it
(decision 0013). Here a row is a function of tensors: what it would write is handed out and written once, and the second
computation begins with the variables, masks and keys that the first one found.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

from harness.backends.probes import PROBED, as_probed, probed_activation
from harness.backends.tensorflow.model import build_model
from harness.backends.tensorflow.randomness import Keys
from harness.errors import HarnessError
from harness.spec.execution import Execution
from harness.spec.model import ModelSpec
from harness.spec.remat import recomputed_activations, recomputed_calls

CONTEXT = "current_call_ctx"  # keras/src/layers/layer.py: _get_call_context
# Keras's symbol, by its id -> the tensor in its place.
Tensors = dict[int, tf.Tensor]


def rematerialize(model: keras.Model, execution: Execution, keys: Keys | None) -> Rematerialization | None:
    """Lets a model of `build_model` compute again what the execution says."""
    if execution.remat is None:
        return None
    spec: ModelSpec = model.harness_spec
    made = Rematerialization(model, recomputed_calls(spec, execution.remat), keys)
    for name in recomputed_activations(spec, execution.remat):
        layer = model.harness_nodes[spec.first_calls[name].name].operation
        layer.activation = made.activation(layer.activation)
    if any(row.recomputed for row in made.rows):
        vars(model)["_run_through_graph"] = made.run
    return made


def recomputes(execution: Execution) -> bool:
    """Whether a gradient really computes a layer a second time that is built as the session's are."""
    if execution.remat is None:
        return False
    spec, weights = probed_activation()
    model = build_model(spec, weights, execution.dtype)
    made = rematerialize(model, as_probed(execution), None)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(tf.ones((1, PROBED), execution.dtype), training=True))
    tape.gradient(total, [variable.value for variable in model.trainable_variables])
    return made is not None and made.recomputed > 0


@dataclass(frozen=True)
class Row:
    """Nodes of a functional model that follow each other. recomputed: together, in the backward pass. reads: symbols
    from before them, gives: theirs that are read after them."""

    nodes: tuple[Any, ...]
    recomputed: bool
    reads: tuple[Any, ...]
    gives: tuple[Any, ...]


@dataclass
class First:
    """What the first computation of a row found and left."""

    fixed: Tensors
    marks: list[Any]
    calls: dict[str, int]
    context: Any
    done: bool = False
    whole: Tensors = field(default_factory=dict)  # given symbols that no gradient goes through
    masks: Tensors = field(default_factory=dict)
    taken: list[int] = field(default_factory=list)  # read symbols whose masks a call took off them
    logits: list[int] = field(default_factory=list)  # of which of the given ones there are logits
    updates: list[tuple[Any, tf.Tensor]] = field(default_factory=list)
    before: list[tuple[Any, tf.Tensor]] = field(default_factory=list)


class Rematerialization:
    """Runs a model's graph in training, with some rows computed twice. recomputed: how many rows and activations were
    so far; in a graph, how many second computations it holds."""

    def __init__(self, model: keras.Model, recomputed: tuple[tuple[str, ...], ...], keys: Keys | None) -> None:
        self.model, self.keys, self.recomputed = model, keys, 0
        self.plain = model._run_through_graph
        self.rows = _rows(model, recomputed)

    def run(
        self, inputs: Any, operation_fn: Callable[..., Any] = lambda operation: operation, call_fn: Any = None,
    ) -> Any:
        """Function._run_through_graph (keras/src/ops/function.py)."""
        context = global_state.get_global_attribute(CONTEXT)
        if call_fn is not None or context is None or not context.get_value("training"):
            return self.plain(inputs, operation_fn=operation_fn, call_fn=call_fn)
        model = self.model
        tensors: Tensors = {id(symbol): x for symbol, x in zip(model.inputs, keras.tree.flatten(inputs), strict=True)}
        for row in self.rows:
            if row.recomputed:
                self._recomputed(row, tensors, operation_fn)
            else:
                _play(row, tensors, operation_fn)
        return keras.tree.pack_sequence_as(model._outputs_struct, [tensors[id(symbol)] for symbol in model.outputs])

    def _recomputed(self, row: Row, tensors: Tensors, operation_fn: Callable[..., Any]) -> None:
        fed = [symbol for symbol in row.reads if _is_floating(symbol)]
        first = First(
            fixed={id(symbol): tensors[id(symbol)] for symbol in row.reads if not _is_floating(symbol)},
            marks=[getattr(tensors[id(symbol)], "_keras_mask", None) for symbol in fed],
            calls=dict(self.keys._calls) if self.keys is not None else {},
            context=global_state.get_global_attribute(CONTEXT),
        )

        def play(*given: tf.Tensor) -> tuple[tf.Tensor, ...]:
            inner = dict(first.fixed)
            for symbol, x, mask in zip(fed, given, first.marks, strict=True):
                x = inner[id(symbol)] = tf.identity(x)
                if mask is not None:
                    x._keras_mask = mask
            again = first.done
            scope = keras.StatelessScope(first.before, collect_losses=True, initialize_variables=False)
            with self._second_time(first) if again else contextlib.nullcontext(), scope:
                _play(row, inner, operation_fn)
            if not again:
                self._leave(row, first, inner, scope)
            made = [inner[id(symbol)] for symbol in row.gives if _is_floating(symbol)]
            return (*made, *(made[index]._keras_logits for index in first.logits), *scope.losses)

        made = list(tf.recompute_grad(play)(*(tensors[id(symbol)] for symbol in fed)))
        self._hand_out(row, first, made, tensors)

    def _leave(self, row: Row, first: First, inner: Tensors, scope: Any) -> None:
        """Notes what the first computation leaves. Only what has a gradient is returned by it."""
        first.done = True
        given = [symbol for symbol in row.gives if _is_floating(symbol)]
        first.whole = {id(symbol): inner[id(symbol)] for symbol in row.gives if not _is_floating(symbol)}
        for symbol, mask in zip(filter(_is_floating, row.reads), first.marks, strict=True):
            if mask is not None and getattr(inner[id(symbol)], "_keras_mask", None) is None:
                first.taken.append(id(symbol))
        first.masks = {id(symbol): inner[id(symbol)]._keras_mask for symbol in given
                       if getattr(inner[id(symbol)], "_keras_mask", None) is not None}
        first.logits = [index for index, symbol in enumerate(given)
                        if getattr(inner[id(symbol)], "_keras_logits", None) is not None]
        known = {id(variable): variable for node in row.nodes if isinstance(node.operation, keras.layers.Layer)
                 for variable in node.operation.variables}
        for key, value in scope.state_mapping.items():
            if key not in known:
                raise HarnessError("a layer writes to a variable that is not its own: it cannot be recomputed.")
            first.updates.append((known[key], value))
            first.before.append((known[key], tf.identity(known[key].value)))

    def _hand_out(self, row: Row, first: First, made: list[tf.Tensor], tensors: Tensors) -> None:
        """Puts what the row gives in its place, once."""
        given = [symbol for symbol in row.gives if _is_floating(symbol)]
        outputs, rest = made[: len(given)], made[len(given):]
        for symbol, x in zip(given, outputs, strict=True):
            tensors[id(symbol)] = x
            if id(symbol) in first.masks:
                x._keras_mask = first.masks[id(symbol)]
        for index, logits in zip(first.logits, rest, strict=False):
            outputs[index]._keras_logits = logits
        tensors.update(first.whole)
        for key in first.taken:  # which their readers behind the row have to see
            tensors[key]._keras_mask = None
        losses = rest[len(first.logits):]
        if losses:  # a functional model takes none
            layers = (node.operation for node in row.nodes if isinstance(node.operation, keras.layers.Layer))
            next(layers).add_loss(losses)
        for variable, value in first.updates:
            variable.assign(value)

    @contextlib.contextmanager
    def _second_time(self, first: First) -> Iterator[None]:
        self.recomputed += 1
        context = global_state.get_global_attribute(CONTEXT)
        global_state.set_global_attribute(CONTEXT, first.context)
        calls: dict[str, int] = {}
        if self.keys is not None:
            calls, self.keys._calls = self.keys._calls, dict(first.calls)
        try:
            yield
        finally:
            global_state.set_global_attribute(CONTEXT, context)
            if self.keys is not None:
                self.keys._calls = calls

    def activation(self, function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        """The activation function, its result not kept."""

        def recomputed_activation(x: tf.Tensor) -> tf.Tensor:
            done, logits = False, False

            def play(x: tf.Tensor) -> tf.Tensor:
                nonlocal done, logits
                self.recomputed += done
                done = True
                y = function(x)
                logits = getattr(y, "_keras_logits", None) is not None
                return y

            y = tf.recompute_grad(play)(x)
            if logits:
                y._keras_logits = x
            return y

        return recomputed_activation


def _play(row: Row, tensors: Tensors, operation_fn: Callable[..., Any]) -> None:
    for node in row.nodes:
        args, kwargs = node.arguments.fill_in(tensors)
        made = operation_fn(node.operation)(*args, **kwargs)
        tensors.update({id(symbol): x for symbol, x in zip(node.outputs, keras.tree.flatten(made), strict=True)})


def _rows(model: keras.Model, recomputed: tuple[tuple[str, ...], ...]) -> tuple[Row, ...]:
    """All nodes, in their order. The operations behind masks belong to the row in which they stand."""
    place = {id(model.harness_nodes[call]): index for index, calls in enumerate(recomputed) for call in calls}
    calls = {id(node) for node in model.harness_nodes.values()}
    groups: list[tuple[int | None, list[Any]]] = []
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input or not node.operation:
                continue
            index = place.get(id(node)) if id(node) in calls else (groups[-1][0] if groups else None)
            if groups and groups[-1][0] == index:
                groups[-1][1].append(node)
            else:
                groups.append((index, [node]))
    rows, wanted = [], {id(symbol) for symbol in model.outputs}
    for index, nodes in reversed(groups):
        made = {id(symbol): symbol for node in nodes for symbol in node.outputs}
        read = {id(symbol): symbol for node in nodes for symbol in node.input_tensors if id(symbol) not in made}
        gives = tuple(symbol for key, symbol in made.items() if key in wanted)
        useful = index is not None and any(map(_is_floating, gives))
        rows.append(Row(tuple(nodes), useful, tuple(read.values()), gives))
        wanted |= set(read)
    return tuple(reversed(rows))


def _is_floating(symbol: Any) -> bool:
    return bool(tf.as_dtype(symbol.dtype).is_floating)
