"""What a phase makes of the model: layers frozen, unfrozen or replaced, and where its weights come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.errors import SpecError, did_you_mean
from harness.spec.layers import LAYERS
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec, copy_layer
from harness.spec.recipe import Phase

if TYPE_CHECKING:
    import numpy as np


def matching(patterns: Iterable[str], names: Iterable[str], what: str) -> set[str]:
    """The names that fit a pattern. Raises SpecError for a pattern that fits none."""
    names = list(names)
    found: set[str] = set()
    for pattern in patterns:
        fits = {name for name in names if fnmatchcase(name, pattern)}
        if not fits:
            raise SpecError(f"{what}: no layer fits {pattern!r}.", hint=did_you_mean(pattern, names))
        found |= fits
    return found


def model_of_phase(spec: ModelSpec, phase: Phase) -> ModelSpec:
    """The model of a phase, from that of the phase before: replaced, then frozen, then unfrozen layers."""
    try:
        replaced = {name: replacement(spec, name, item) for name, item in phase.replace.items()}
        spec = spec.with_layers(replaced) if replaced else spec
        change = dict.fromkeys(matching(phase.freeze, spec.layers, "freeze"), False)
        change |= dict.fromkeys(matching(phase.unfreeze, spec.layers, "unfreeze"), True)
    except SpecError as error:
        raise error.at(f"phase {phase.name!r}") from None
    return spec.with_trainable(change) if change else spec


def replacement(spec: ModelSpec, name: str, item: object) -> Layer:
    """The layer that takes a layer's place, under its name. None: the same layer, its weights drawn anew."""
    if name not in spec.layers:
        raise SpecError(f"replace: there is no layer {name!r}.", hint=did_you_mean(name, spec.layers))
    if item is None:
        return copy_layer(spec.layers[name], name=name)
    if isinstance(item, Mapping) and "class_name" not in item and len(item) != 1:
        raise SpecError(f"replace: the layer is written {{Name: {{arguments}}}}, got {item!r}.")
    return copy_layer(LAYERS.parse(item), name=name)


def starting_weights(
    spec: ModelSpec, phase: Phase, index: int, seed: int, before: Mapping[str, np.ndarray] | None,
) -> dict[str, np.ndarray]:
    """The first weights of a phase: those of before, but drawn anew for replaced layers (float64 where drawn).

    Raises SpecError if the weights of before are another model's.
    """
    from harness.plan.initial import draw  # NumPy: `harness check` reads a phase's model without it

    if before is None:
        return {weight.name: draw(weight, seed) for weight in spec.weights}
    weights: dict[str, np.ndarray] = {}
    missing, misfits = [], []
    for weight in spec.weights:
        if weight.layer in phase.replace:
            # A new head is another draw than the first one: the phase's index is part of its seed.
            weights[weight.name] = draw(weight, seed if index == 0 else seed * 1_000_003 + index)
        elif weight.name not in before:
            missing.append(weight.name)
        elif before[weight.name].shape != weight.shape:
            misfits.append(f"{weight.name} {before[weight.name].shape}, expected {weight.shape}")
        else:
            weights[weight.name] = before[weight.name]
    extra = sorted(set(before) - {weight.name for weight in spec.weights}
                   - {name for name in before if name.rpartition("/")[0].split("/")[0] in phase.replace})
    if missing or misfits or extra:
        lists = (("missing", missing), ("other shapes", misfits), ("unknown", extra))
        found = "; ".join(f"{what}: {', '.join(names)}" for what, names in lists if names)
        raise SpecError(f"these weights are another model's: {found}.",
                        where=f"phase {phase.name!r}",
                        hint="Start from a checkpoint of this model, or replace the layers that differ.")
    return weights
