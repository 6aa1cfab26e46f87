"""One layer of a Keras config: its class in the vocabulary and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.keras_config.refusals import OLD, REGISTER
from harness.spec.keras_config.values import dtype_of, is_keras, is_serialized, plain_value
from harness.spec.layers import LAYERS
from harness.spec.layers.base import Layer
from harness.spec.layers.refused import ALIASES, REFUSED
from harness.spec.layers.registration import load_registrations
from harness.spec.model import copy_layer

MODELS = ("Functional", "Model", "Sequential")
# Names that classes had in Keras 2.
RENAMED = {"BatchNormalizationV1": "BatchNormalization",
           "BatchNormalizationV2": "BatchNormalization", "LSTMV2": "LSTM", "GRUV2": "GRU"}
# Arguments of Keras that change nothing at these values; looked at only where the vocabulary does not know them.
WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "quantization_config": (None,), "renorm": (False,), "renorm_clipping": (None,), "ragged": (False,),
    "sparse": (False,), "time_major": (False,), "stateful": (False,), "lora_rank": (None,), "lora_alpha": (None,),
    "data_format": (None, "channels_last"), "virtual_batch_size": (None,), "fused": (None, True, False),
    "adjustment": (None,), "implementation": (0, 1, 2),
}
# The same whatever their value: they concern other devices, or what the arguments above switch on.
EVER_WITHOUT_EFFECT = frozenset({"synchronized", "renorm_momentum", "autocast", "input_length", "build_config",
                                 "query_shape", "key_shape", "value_shape"})
# Arguments whose value may be a layer.
HOLDERS = frozenset({"layer", "backward_layer", "forward_layer", "cell", "cells"})


def layer_class(item: Mapping[str, Any]) -> type[Layer]:
    """The vocabulary's class of a serialised layer. Raises SpecError with the reason and the way out."""
    name = item["class_name"]
    if name in OLD:
        raise SpecError(OLD[name][0] + ".", hint=OLD[name][1])
    if name in REFUSED:
        raise SpecError(REFUSED[name].reason + ".", hint=REFUSED[name].way_out)
    canonical = RENAMED.get(name, ALIASES.get(name, name))
    cls = _find(canonical)
    registered = cls is not None and not cls.__module__.startswith("harness.spec.")
    if cls is not None and registered and str(item.get("registered_name") or name).split(">")[-1] == name:
        return cls
    if not is_keras(item):
        module = item.get("registered_name") or item.get("module")
        raise SpecError(f"it is a class of its own ({module}), whose code the file does not hold.", hint=REGISTER)
    if cls is None or cls.canonical_name() != canonical:
        raise SpecError("there is no such layer in the vocabulary.", hint=_near(canonical))
    return cls


def _find(name: str) -> type[Layer] | None:
    """The class in the vocabulary, the registered ones included. Raises SpecError where their modules cannot load."""
    if not LAYERS.knows(name):
        load_registrations()
    return LAYERS.find(name) if LAYERS.knows(name) else None


def _near(name: str) -> str:
    near = did_you_mean(name, LAYERS.classes)
    return f"{REGISTER} {near}" if near.startswith("Did") else REGISTER


def read_layer(item: Mapping[str, Any], name: str, usual_dtype: str | None) -> Layer:
    """The spec layer of a serialised one, under this name. usual_dtype: the policy that goes without saying.

    Raises SpecError for an unknown class or an argument that cannot be carried over.
    """
    cls = layer_class(item)
    config = item["config"]
    if not isinstance(config, Mapping):
        raise SpecError("its config is not a mapping.")
    arguments: dict[str, Any] = {"name": name}
    for key, value in config.items():
        if key == "name" or _without_effect(cls, key, value):
            continue
        if key == "dtype":
            policy = dtype_of(value)
            if policy not in (None, usual_dtype):
                arguments["dtype"] = policy
        elif key in HOLDERS and (is_serialized(value) or isinstance(value, list)):
            arguments[key] = _held(value, usual_dtype)
        else:
            arguments[str(key)] = _argument(str(key), value)
    return cls(**arguments)


def at_each_step(layer: Layer, name: str) -> Layer:
    """A layer of a model inside a TimeDistributed: each with the wrapper around it means the same.

    A merge of several tensors is the same with and without the steps, but where it counts its axis from the front.
    Raises SpecError for what would mean something else.
    """
    if layer.canonical_name() == "Dot":
        raise SpecError("a Dot inside a TimeDistributed is not supported.")
    if not _merges(layer):
        return LAYERS.find("TimeDistributed")(layer=layer, name=name)
    axis = getattr(layer, "axis", -1)
    return layer if axis < 0 else copy_layer(layer, axis=axis + 1, name=name)


def _merges(layer: Layer) -> bool:
    return type(layer).__module__.endswith(".merging") or hasattr(type(layer), "merges")


def _argument(key: str, value: Any) -> Any:
    try:
        return plain_value(value)
    except SpecError as error:
        raise SpecError(f"{key}: {error.message}", hint=error.hint or REGISTER) from None


def _held(value: Any, usual_dtype: str | None) -> Any:
    """A layer among the arguments (of a wrapper, of an RNN), or a list of them."""
    if isinstance(value, list):
        return [_held(item, usual_dtype) for item in value]
    if not is_serialized(value):
        raise SpecError(f"expected a layer, got {value!r}.")
    if value["class_name"] in MODELS:
        raise SpecError(f"a whole model ({value['class_name']}) inside a layer is not supported.",
                        hint="Put the wrapper around each of its layers.")
    config = value["config"]
    name = config.get("name") if isinstance(config, Mapping) else None
    return read_layer(value, str(name or value["class_name"]).replace(" ", "_"), usual_dtype)


def _without_effect(cls: type[Layer], key: str, value: Any) -> bool:
    if key in cls.model_fields:
        return False
    if key in cls.ignored or key in EVER_WITHOUT_EFFECT:
        return True
    if value is None and (key.endswith(("_constraint", "_regularizer"))):
        return True
    return key in WITHOUT_EFFECT and value in WITHOUT_EFFECT[key]
