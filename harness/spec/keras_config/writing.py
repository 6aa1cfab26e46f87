"""ModelSpec -> Keras's config JSON, which `keras.models.model_from_json` and .keras files hold.

A functional model, flat: inner models that were laid open when the spec was read stay open. Keras has no "/" in a
layer's name: "encoder/dense" is "encoder_dense" there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError
from harness.spec.configured import Configured, snake_case
from harness.spec.constraints import Constraint
from harness.spec.initializers import Initializer
from harness.spec.keras_config.order import layer_order
from harness.spec.layers.base import Layer
from harness.spec.lora import is_adapted
from harness.spec.model import InputSpec, ModelSpec, Node, Reference
from harness.spec.operations.base import Operation
from harness.spec.operations.operands import Operand
from harness.spec.regularizers import Regularizer

# Arguments of a spec layer that Keras has elsewhere or under another form.
NOT_ARGUMENTS = frozenset({"name", "trainable", "dtype", "input_shape"})
# Layers of Keras that stand in no public module.
MODULES = {"LayerScale": "keras.src.applications.convnext", "StochasticDepth": "keras.src.applications.convnext",
           "CustomScaleLayer": "keras.src.applications.inception_resnet_v2"}
OPERATION_MODULES = {"activations": "keras.src.activations.activations"}
# Called on a list of tensors.
READ_LISTS = frozenset({"Attention", "AdditiveAttention", "CustomScaleLayer"})


def model_to_keras_config(spec: ModelSpec, dtype: str | None = None) -> dict[str, Any]:
    """The config of a functional keras.Model, as plain data.

    dtype: the dtype policy of all layers ("float32", "float64"); None leaves it to Keras's default. Raises SpecError
    for what Keras does not have: a layer that was registered.
    """
    nodes: dict[str, list[Node]] = {}
    for node in spec.nodes:
        nodes.setdefault(node.layer, []).append(node)
    inputs = {item.name: item for item in spec.inputs}
    layers = []
    for name in layer_order(spec):
        if name in inputs:
            layers.append(_input(inputs[name], dtype))
        else:
            layers.append(_layer_entry(spec, name, nodes[name], dtype))
    outputs = [_place(spec, reference) for reference in spec.outputs]
    places = [[keras_name(item.name), 0, 0] for item in spec.inputs]
    config = {
        "name": keras_name(spec.name), "trainable": True, "layers": layers,
        # One tensor stays one: a list of one would be another structure to Keras.
        "input_layers": places if len(places) > 1 else places[0],
        "output_layers": outputs if len(outputs) > 1 else outputs[0],
    }
    return _serialized("keras.src.models.functional", "Functional", config, registered="Functional")


def keras_name(name: str) -> str:
    """A name as Keras allows it."""
    return name.replace("/", "_")


def _serialized(
    module: str, class_name: str, config: Mapping[str, Any], registered: str | None = None
) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": dict(config), "registered_name": registered}


def _input(item: InputSpec, dtype: str | None) -> dict[str, Any]:
    name = keras_name(item.name)
    fed = dtype if dtype and item.dtype == "float32" else item.dtype
    config = {"batch_shape": list(item.shape), "dtype": fed, "sparse": False, "ragged": False, "name": name,
              "optional": False}
    return {**_serialized("keras.layers", "InputLayer", config), "name": name, "inbound_nodes": []}


def _layer_entry(spec: ModelSpec, label: str, nodes: list[Node], dtype: str | None) -> dict[str, Any]:
    layer, name = spec.layers[label], keras_name(label)
    if isinstance(layer, Operation):
        return {**_operation(layer, name, dtype), "name": name,
                "inbound_nodes": [_operation_call(spec, layer, node) for node in nodes]}
    try:
        item = serialized_layer(layer, name, dtype)
    except SpecError as error:
        raise error.at(f"layer {label!r}") from None
    return {**item, "name": name, "inbound_nodes": [_call(spec, layer, node) for node in nodes]}


def serialized_layer(layer: Layer, name: str, dtype: str | None) -> dict[str, Any]:
    """A layer as Keras serialises it. Raises SpecError for a layer that is not Keras's."""
    kind = layer.canonical_name()
    if not type(layer).__module__.startswith("harness.spec.layers."):
        raise SpecError(f"{kind} is a layer of your own, which Keras does not have.",
                        hint="Build the model with its TensorFlow builder: harness.build(spec, 'tensorflow').")
    if is_adapted(layer):
        raise SpecError(f"{kind} is not one of Keras's layers: its adapters lie beside frozen weights.",
                        hint="Merge them first: harness merge-lora CHECKPOINT -o FILE.")
    config: dict[str, Any] = {"name": name, "trainable": layer.trainable}
    policy = layer.dtype or dtype
    if policy is not None:
        config["dtype"] = policy
    for key in type(layer).model_fields:
        value = getattr(layer, key)
        if key in NOT_ARGUMENTS or (value is None and key in ("activity_regularizer", "backward_layer")):
            continue
        config[key] = _activation(value) if key.endswith("activation") else _value(value, dtype)
    if "activation" in type(layer).model_fields and config["activation"] is None:
        config["activation"] = "linear"
    module = MODULES.get(kind, "keras.layers")
    return _serialized(module, kind, config, registered=kind if kind in MODULES else None)


def _activation(value: Any) -> Any:
    """A function's name, or {layer: {arguments}}."""
    if not isinstance(value, Mapping):
        return value
    ((name, arguments),) = value.items()
    return _serialized("keras.layers", name, arguments)


def _value(value: Any, dtype: str | None) -> Any:
    """An argument as plain data in Keras's form."""
    if isinstance(value, Layer):
        return serialized_layer(value, keras_name(value.name or snake_case(value.canonical_name())), dtype)
    for base, module in ((Initializer, "keras.initializers"), (Regularizer, "keras.regularizers"),
                         (Constraint, "keras.constraints")):
        if isinstance(value, base):
            return _serialized(module, value.canonical_name(), _fields(value, dtype))
    if isinstance(value, Mapping):
        return {str(key): _value(item, dtype) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(item, dtype) for item in value]
    return value


def _fields(value: Configured, dtype: str | None) -> dict[str, Any]:
    fields = {key: _value(getattr(value, key), dtype) for key in type(value).model_fields}
    # Which axes are inputs is said only where it is not Keras's rule.
    return {key: item for key, item in fields.items() if not (key in ("input_axes", "output_axes") and item is None)}


def _place(spec: ModelSpec, reference: str) -> list[Any]:
    """[layer, which of its calls, which of its outputs]."""
    name, _, index = reference.partition(":")
    label, _, call = name.partition("@")
    return [keras_name(label), int(call or 0), int(index or 0)]


def _tensor(spec: ModelSpec, reference: str) -> dict[str, Any]:
    shape = list(spec.tensors[reference])
    return {"class_name": "__keras_tensor__",
            "config": {"shape": shape, "dtype": "float32", "keras_history": _place(spec, reference)}}


def _call(spec: ModelSpec, layer: Layer, node: Node) -> dict[str, Any]:
    tensors = [_tensor(spec, reference) for reference in node.inputs]
    as_list = type(layer).__module__.endswith(".merging") or layer.canonical_name() in READ_LISTS
    kwargs = {key: _call_value(spec, value) for key, value in node.arguments.items()}
    return {"args": [tensors] if as_list else tensors, "kwargs": kwargs}


def _call_value(spec: ModelSpec, value: Any) -> Any:
    if isinstance(value, Reference):
        return _tensor(spec, value.to)
    return [_call_value(spec, item) for item in value] if isinstance(value, (list, tuple)) else value


def _operation(operation: Operation, name: str, dtype: str | None) -> dict[str, Any]:
    declared = operation.declared
    config: dict[str, Any] = {"name": name}
    for item in declared.parameters:
        if not item.kind:
            config[item.name] = _value(getattr(operation, item.name), None)
    if config.get("dtype") == "float32" and dtype is not None:
        config["dtype"] = dtype  # "float32" in a spec is whatever the model computes in
    module = OPERATION_MODULES.get(declared.module, f"keras.src.ops.{declared.module}")
    return _serialized(module, declared.keras_class, config, registered=declared.keras_class)


def _operation_call(spec: ModelSpec, operation: Operation, node: Node) -> dict[str, Any]:
    """Operands in their order; from the first that is left out on, by name."""
    bound = operation.bind(spec.input_shapes(node), node.arguments)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    skipped = False
    for item in operation.declared.operands:
        value = bound.get(item.name)
        if value is None:
            skipped = True
            continue
        operand = _key(value) if item.kind == "K" else _operand(spec, node, value)
        if skipped:
            kwargs[item.name] = operand
        elif item.variadic:
            args.extend(operand)
        else:
            args.append(operand)
    return {"args": args, "kwargs": kwargs}


def _operand(spec: ModelSpec, node: Node, value: Any) -> Any:
    if isinstance(value, list):
        return [_operand(spec, node, item) for item in value]
    assert isinstance(value, Operand)
    if value.index is not None:
        return _tensor(spec, node.inputs[value.index])
    if isinstance(value.value, Mapping):
        return {"class_name": "__numpy__", "config": {"value": value.value["array"], "dtype": value.value["dtype"]}}
    if isinstance(value.value, (list, tuple)):
        return {"class_name": "__numpy__", "config": {"value": _value(value.value, None), "dtype": value.dtype}}
    return value.value


def _key(key: Any) -> Any:
    """The key of x[key], as the spec holds it, in Keras's form."""
    return [_key_item(item) for item in key]


def _key_item(item: Any) -> Any:
    if isinstance(item, Mapping):
        return {"class_name": "__slice__", "config": dict(zip(("start", "stop", "step"), item["slice"], strict=True))}
    return {"class_name": "__ellipsis__", "config": {}} if item == "..." else item
