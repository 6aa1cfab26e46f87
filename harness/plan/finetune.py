"""What a phase makes of the model: layers frozen, unfrozen, replaced, resized or adapted, and where its weights come
from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.errors import SpecError, did_you_mean
from harness.spec.layers import LAYERS
from harness.spec.layers.base import Layer
from harness.spec.lora import LoRA, adapted_layers, is_adapter, with_lora, without_lora
from harness.spec.model import ModelSpec, copy_layer
from harness.spec.recipe import Phase, ResolvedPhase

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
    """The model of a phase, from that of the phase before: adapters merged, layers replaced and resized, adapters
    added, then frozen, then unfrozen layers."""
    try:
        spec = without_lora(spec) if phase.merge_lora else spec
        spec = _with_other_layers(spec, phase)
        change: dict[str, bool] = {}
        if phase.lora is not None:
            spec = with_lora(spec, phase.lora)
            # What a phase brings in trains: a new head that stays as it was drawn would be of no use.
            trained = {*adapted_layers(spec), *phase.replace}
            change = {name: name in trained for name in spec.layers}
        change |= dict.fromkeys(matching(phase.freeze, spec.layers, "freeze"), False)
        change |= dict.fromkeys(matching(phase.unfreeze, spec.layers, "unfreeze"), True)
    except SpecError as error:
        raise error.at(f"phase {phase.name!r}") from None
    return spec.with_trainable(change) if change else spec


def _with_other_layers(spec: ModelSpec, phase: Phase) -> ModelSpec:
    """The model with the layers that the phase replaces or resizes."""
    if phase.resize:
        from harness.plan.resizing import resized  # NumPy: `harness check` reads a phase's model without it

        spec = spec.with_layers({name: resized(spec, name, item) for name, item in phase.resize.items()})
    replaced = {name: replacement(spec, name, item) for name, item in phase.replace.items()}
    return spec.with_layers(replaced) if replaced else spec


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
    """The first weights of a phase: those of before, but drawn anew for replaced layers (float64 where drawn), with new
    rows where resized, with adapters merged or added.

    Raises SpecError if the weights of before are another model's.
    """
    from harness.plan.initial import draw  # NumPy: `harness check` reads a phase's model without it

    if before is None:
        return {weight.name: draw(weight, seed) for weight in spec.weights}
    try:
        return _carried_over(spec, phase, index, seed, _merged(phase, before))
    except SpecError as error:
        raise error.at(f"phase {phase.name!r}") from None


def _merged(phase: Phase, before: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The weights of before without the adapters that the phase merges."""
    lora: LoRA | None = phase.merges if isinstance(phase, ResolvedPhase) else None
    if lora is None:
        return before
    from harness.plan.adapters import merged

    return merged(before, lora)


def _carried_over(
    spec: ModelSpec, phase: Phase, index: int, seed: int, before: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """See starting_weights."""
    from harness.plan.initial import draw
    from harness.plan.resizing import resized_weight

    # A new head is another draw than the first one: the phase's index is part of its seed.
    own_seed = seed if index == 0 else seed * 1_000_003 + index
    weights: dict[str, np.ndarray] = {}
    missing, misfits = [], []
    for weight in spec.weights:
        name, known = weight.name, before.get(weight.name)
        added = phase.lora is not None and is_adapter(weight.role)
        if weight.layer in phase.replace or (known is None and added):
            weights[name] = draw(weight, own_seed)
        elif known is None:
            missing.append(name)
        else:
            if weight.layer in phase.resize:
                known = resized_weight(weight, known, phase.resize[weight.layer], seed, index)
            weights[name] = known
            if known.shape != weight.shape:
                misfits.append(f"{name} {known.shape}, expected {weight.shape}")
    extra = sorted(set(before) - {weight.name for weight in spec.weights}
                   - {name for name in before if name.rpartition("/")[0].split("/")[0] in phase.replace})
    if missing or misfits or extra:
        lists = (("missing", missing), ("other shapes", misfits), ("unknown", extra))
        found = "; ".join(f"{what}: {', '.join(names)}" for what, names in lists if names)
        raise SpecError(f"these weights are another model's: {found}.",
                        hint="Start from a checkpoint of this model, or replace the layers that differ.")
    return weights


def continued_slots(
    spec: ModelSpec, phase: Phase, slots: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, dict[str, np.ndarray]]:
    """What an optimizer that goes on keeps of each variable: nothing of layers that are new or have another size."""
    new = {*phase.replace, *phase.resize}
    kept = {weight.name for weight in spec.weights if weight.layer not in new}
    return {slot: {name: array for name, array in arrays.items() if name in kept} for slot, arrays in slots.items()}
