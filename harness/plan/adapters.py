"""The arithmetic of low-rank adapters: A @ B * alpha / rank, added to the weight that it stands beside."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.errors import SpecError
from harness.spec.lora import LoRA, adapted_layers, is_adapter
from harness.spec.model import ModelSpec

# What an adapter stands beside, by the beginning of its last word.
BESIDE = {"lora_kernel": "kernel", "lora_embeddings": "embeddings"}


def merged(weights: Mapping[str, np.ndarray], lora: LoRA) -> dict[str, np.ndarray]:
    """The weights without adapters, each added to the kernel or table beside it: summed in float64, rounded once to the
    weight's own type. Raises SpecError for an adapter that lacks a part."""
    found = {name: array for name, array in weights.items() if not is_adapter(name)}
    for name, first in weights.items():
        if not is_adapter(name) or not name.endswith("_a"):
            continue
        owner, _, last = name.rpartition("/")
        beside, second = f"{owner}/{BESIDE[last[:-2]]}", weights.get(f"{name[:-1]}b")
        if second is None or beside not in found:
            missing = beside if second is not None else f"{name[:-1]}b"
            raise SpecError(f"the adapter {name} cannot be merged: there is no {missing}.")
        base = found[beside]
        change = np.tensordot(np.asarray(first, np.float64), np.asarray(second, np.float64), 1) * lora.scale
        if change.shape != base.shape:
            raise SpecError(f"the adapter {name} makes {change.shape}, {beside} is {base.shape}.")
        found[beside] = (np.asarray(base, np.float64) + change).astype(base.dtype)
    return found


def trained_beside(spec: ModelSpec, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a training with adapters has made: the adapters, and the weights of all other layers that are trained, their
    moving averages too. Raises SpecError for a model without adapters."""
    adapted = set(adapted_layers(spec))
    if not adapted:
        raise SpecError("the model has no adapters.", where=f"model {spec.name!r}")
    own = {weight.name for weight in spec.weights if is_adapter(weight.role) or (
        weight.layer not in adapted and spec.layers[weight.layer].trainable)}
    return {name: array for name, array in weights.items() if name in own}
