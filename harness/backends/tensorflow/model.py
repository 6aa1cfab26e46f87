"""A ModelSpec as a real keras.Model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.backends.tensorflow.layers import build_layer
from harness.backends.tensorflow.layers.merging import broadcasting
from harness.backends.tensorflow.layers.operations import build_operation, call_operation
from harness.backends.tensorflow.layers.stock import numpy
from harness.backends.tensorflow.randomness import Keys
from harness.errors import SpecError
from harness.spec.execution import MIXED
from harness.spec.layers.base import Layer, Shape
from harness.spec.model import ModelSpec, Node, Reference
from harness.spec.operations.base import Operation
from harness.spec.order import execution_order


def build_model(
    spec: ModelSpec, weights: Mapping[str, np.ndarray], dtype: str, keys: Keys | None = None
) -> keras.Model:
    """The functional model with its weights. dtype: of all layers that have none of their own, a dtype policy of
    Keras's. keys: where dropout and noise come from the tape."""
    for name in spec.first_calls:
        # The operations behind masks are named as layers are ("concatenate"): count past the names of the spec.
        keras.backend.get_uid(re.sub(r"_\d+$", "", name))
    tensors: dict[str, Any] = {
        item.name: keras.Input(batch_shape=item.shape, dtype=_input_dtype(item.dtype, dtype), name=item.name)
        for item in spec.inputs
    }
    layers: dict[str, keras.layers.Layer] = {}
    for node in spec.nodes:
        if node.layer not in layers:
            layers[node.layer] = _layer(spec.layers[node.layer], node.layer, dtype, keys, spec.input_shapes(node))
        result = _called(spec, node, layers[node.layer], tensors, dtype)
        for index, tensor in enumerate(keras.tree.flatten(result)):  # states come in lists of lists
            tensors[node.name if index == 0 else f"{node.name}:{index}"] = tensor
    inputs = [tensors[item.name] for item in spec.inputs]
    outputs = [tensors[reference] for reference in spec.outputs]
    # One tensor stays one: a list of one would be another structure to Keras.
    model = keras.Model(
        inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0],
        name=_keras_name(spec.name),
    )
    model.harness_spec = spec
    nodes = _nodes(spec, layers)
    # Past Keras's __setattr__, which would look for layers and weights in it.
    vars(model)["harness_nodes"] = nodes
    _settle_order(model, spec, nodes)
    set_weights(model, weights)
    return model


def _called(spec: ModelSpec, node: Node, layer: Any, tensors: Mapping[str, Any], dtype: str) -> Any:
    feeds = [tensors[reference] for reference in node.inputs]
    declared = spec.layers[node.layer]
    if isinstance(declared, Operation):
        return call_operation(layer, declared, feeds, node.arguments, spec.input_shapes(node), variable_dtype(dtype))
    arguments = {key: _resolve(value, tensors) for key, value in node.arguments.items()}
    takes_list = not declared.call_arguments and _reads_list(layer)
    return layer(feeds, **arguments) if takes_list else layer(*feeds, **arguments)


def _nodes(spec: ModelSpec, layers: Mapping[str, Any]) -> dict[str, Any]:
    """Call -> the Keras node that it became."""
    calls = dict.fromkeys(layers, 0)
    nodes = {}
    for node in spec.nodes:
        nodes[node.name] = layers[node.layer]._inbound_nodes[calls[node.layer]]
        calls[node.layer] += 1
    return nodes


def _settle_order(model: keras.Model, spec: ModelSpec, nodes: Mapping[str, Any]) -> None:
    """Lets the model run its calls in the spec's execution order.

    It is Keras's own, but that Keras leaves the order of calls of one depth to chance (node.py: parent_nodes is a
    set), and with it what becomes of a shared layer's moving averages. What is no call of the spec (inputs, the
    operations behind masks) comes before the first call that reads it.
    """
    in_model = {id(node) for same_depth in model._nodes_by_depth.values() for node in same_depth}
    order: dict[int, Any] = {}

    def place(node: Any) -> None:
        if id(node) in order or id(node) not in in_model:
            return
        for parent in node.parent_nodes:
            place(parent)
        order[id(node)] = node

    for same_depth in model._nodes_by_depth.values():
        for node in same_depth:
            if node.is_input:
                place(node)
    for call in execution_order(spec):
        place(nodes[call.name])
    if len(order) == len(in_model):
        model._nodes_by_depth = {len(order) - index: [node] for index, node in enumerate(order.values())}


def variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Canonical name -> Keras variable. Each layer's variables stand in Keras's own order, which the spec
    declares; shape and name are checked, never used to find a variable."""
    spec: ModelSpec = model.harness_spec
    table: dict[str, keras.Variable] = {}
    for name in spec.first_calls:
        if isinstance(spec.layers[name], Operation):
            continue  # which Keras does not list among the model's layers
        declared = spec.layer_weights(name)
        built = model.get_layer(_keras_name(name)).weights
        if len(declared) != len(built):
            raise SpecError(f"the layer {name!r} has {len(built)} weights in Keras and {len(declared)} in the spec.")
        for weight, variable in zip(declared, built, strict=True):
            if tuple(variable.shape) != weight.shape or variable.path.split("/")[-1] != weight.role.split("/")[-1]:
                raise SpecError(f"the layer {name!r}: Keras's weight {variable.path} {tuple(variable.shape)} is not "
                                f"the spec's {weight.role} {weight.shape}.")
            table[f"{name}/{weight.role}"] = variable
    return table


def get_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The canonical weights, copies."""
    return {name: np.array(numpy(variable)) for name, variable in variables(model).items()}


def set_weights(model: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    """Loads canonical weights."""
    for name, variable in variables(model).items():
        variable.assign(np.asarray(weights[name]))


def _layer(
    layer: Layer, name: str, dtype: str, keys: Keys | None, shapes: tuple[Shape, ...]
) -> keras.layers.Layer:
    if isinstance(layer, Operation):
        return build_operation(layer, _keras_name(name), variable_dtype(dtype))
    common: dict[str, Any] = {"name": _keras_name(name), "dtype": layer.dtype or dtype, "trainable": layer.trainable}
    _refuse_lost_gradients(layer, name, common["dtype"])
    if keys is not None and layer.stochastic:
        common["keys"] = keys
    return broadcasting(layer, shapes, **common) or build_layer(layer, keyed=keys is not None, **common)


def _refuse_lost_gradients(layer: Layer, name: str, policy: str) -> None:
    """TensorFlow's kernels that enlarge images so have gradients of float32 alone: by values of a half type it is 0, or
    an error at the first step."""
    kind = getattr(layer, "interpolation", "nearest")
    if policy in MIXED and kind not in ("nearest", "bilinear") and layer.canonical_name() == "UpSampling2D":
        raise SpecError(f"TensorFlow has no gradient of {kind} interpolation in {MIXED[policy]}.",
                        where=f"layer {name!r}", hint="Give the layer dtype: float32, or interpolation: bilinear.")


def _reads_list(layer: keras.layers.Layer) -> bool:
    from keras.src.layers.merging.base_merge import Merge

    return isinstance(layer, (Merge, keras.layers.Attention))


def _resolve(value: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(value, Reference):
        return tensors[value.to]
    if isinstance(value, (list, tuple)):
        return [_resolve(item, tensors) for item in value]
    return value


def _input_dtype(wanted: str, dtype: str) -> str:
    return variable_dtype(dtype) if wanted.startswith("float") else wanted


def variable_dtype(policy: str) -> str:
    """What Keras keeps the weights of a layer of that policy in; the model's inputs and constants are of it too."""
    return "float32" if policy in MIXED else policy


def whole(x: Any) -> Any:
    """A tensor of a half type as float32, any other as it is: what is shown, kept and summed is float32."""
    return tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x


def _keras_name(name: str) -> str:
    # Keras forbids "/" in names; the canonical weight names keep it.
    return name.replace("/", "_")
