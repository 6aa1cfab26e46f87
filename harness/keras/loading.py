"""keras.models.load_model and model_from_json: a Keras file or config as a model that trains in both frameworks.

No framework reads the file, and nothing in it is run (docs/keras-import.md).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import SpecError
from harness.keras.layers import Layer, in_front_of
from harness.keras.model import Model
from harness.spec.model import ModelSpec, Reference, copy_layer
from harness.spec.notation import Input, Tensor
from harness.spec.operations.base import Operation

SPEC_ENDINGS = (".yaml", ".yml")


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Model:
    """The model of a .keras or .h5 file with its weights, in both halves; of a .yaml spec without.

    compile: as the file says how (optimizer, loss, metrics; the optimizer starts anew); a warning says what of it
    cannot be carried. Raises SpecError, listing every part of the model that cannot be carried over.
    """
    _refuse_custom(custom_objects)
    if not safe_mode:
        raise SpecError("safe_mode=False is not supported: no code of a file is run.", where="load_model")
    path = Path(filepath)
    if path.suffix in SPEC_ENDINGS:
        from harness.spec.serial import read_model

        return model_of(read_model(path))
    from harness.exchange.from_keras import import_keras
    from harness.keras.weights import draw_missing, halves, store

    found, arrays = import_keras(path)
    model = model_of(found.spec)
    if arrays is not None:
        draw_missing(model)
        for half in halves():
            store(model, half, arrays)
    if compile and path.suffix == ".keras":
        _compile(model, path)
    return model


def model_from_json(json_string: str, custom_objects: Any = None) -> Model:
    """The model of a config that `to_json` wrote, here or in Keras, with weights drawn anew."""
    _refuse_custom(custom_objects)
    from harness.spec.keras_config import read_keras_config

    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as error:
        raise SpecError(f"this is no JSON: {error}.", where="model_from_json") from None
    return model_of(read_keras_config(config, "model_from_json").spec)


def model_of(spec: ModelSpec) -> Model:
    """The spec as a model of layers that own their weights."""
    tensors: dict[str, Tensor] = {
        item.name: Input(batch_shape=item.shape, dtype=item.dtype, name=item.name) for item in spec.inputs
    }
    inputs = list(tensors.values())
    layers: dict[str, Layer] = {}
    for node in spec.nodes:
        if node.layer not in layers:
            own = spec.layers[node.layer]
            layers[node.layer] = in_front_of(copy_layer(own, name=node.layer))
            layers[node.layer].is_operation = isinstance(own, Operation)
        arguments = {key: _resolved(value, tensors) for key, value in node.arguments.items()}
        result = layers[node.layer](*(tensors[name] for name in node.inputs), **arguments)
        for index, tensor in enumerate(result if isinstance(result, tuple) else (result,)):
            tensors[node.name if index == 0 else f"{node.name}:{index}"] = tensor
    return Model(inputs, [tensors[name] for name in spec.outputs], name=spec.name)


def _resolved(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, Reference):
        return tensors[value.to]
    return [_resolved(item, tensors) for item in value] if isinstance(value, (list, tuple)) else value


def _compile(model: Model, path: Path) -> None:
    from harness.exchange.keras_archive import open_archive

    config = open_archive(path).config
    settings = config.get("compile_config") if isinstance(config, Mapping) else None
    if not isinstance(settings, Mapping) or not settings.get("loss"):
        return
    known = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "jit_compile")
    try:
        model.compile(**{key: settings[key] for key in known if settings.get(key) is not None})
    except SpecError as error:
        warnings.warn(f"{path.name}: what the file says about compile is not carried: {error} Call compile().",
                      stacklevel=3)


def _refuse_custom(custom_objects: Any) -> None:
    if custom_objects:
        raise SpecError("custom_objects is not supported: their code would run in one framework only.",
                        where="load_model", hint="Register such a layer: harness.register_layer.")
