"""What a default is, and how one is changed in every layer, or in every optimizer, at once.

An argument of a layer counts as left at its default if it has Keras's value: a spec does not keep whether it was
written. An argument of an optimizer counts as left if it was not written, Adam(learning_rate=0.001) is a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec
from harness.spec.optimizer_base import Optimizer
from harness.spec.recipe import Phase, Recipe

Shapes = Mapping[str, tuple[int, ...]]
# (layer, shapes of its weights by role) -> arguments to change, {} for none.
EditLayer = Callable[[Layer, Shapes], Mapping[str, Any]]
EditOptimizer = Callable[[Optimizer], Mapping[str, Any]]
# The arguments in which a layer holds other layers. Their weights have the roles of the layer around them, but for
# those of recurrent layers, whose first values do not depend on shapes.
_NESTED = ("layer", "backward_layer", "cell", "cells")


@dataclass(frozen=True)
class Change:
    """A default that was switched. where: the layers (or "optimizer") that it touched. keras, torch: both values."""

    spec: ModelSpec
    recipe: Recipe
    where: tuple[str, ...]
    keras: str
    torch: str


@dataclass(frozen=True)
class Default:
    """One default. what: for people. switch: from Keras's to PyTorch's, None where it says nothing about the model and
    the recipe. note: how far what is switched falls short of PyTorch's own."""

    name: str
    what: str
    switch: Callable[[ModelSpec, Recipe], Change | None]
    note: str = ""


def is_left(layer: Layer, argument: str) -> bool:
    """Whether the layer has this argument, with Keras's default."""
    field = type(layer).model_fields.get(argument)
    return field is not None and bool(getattr(layer, argument) == field.get_default(call_default_factory=True))


def change_layers(spec: ModelSpec, edit: EditLayer) -> tuple[ModelSpec, tuple[str, ...]]:
    """The model with every layer edited, those inside of wrappers too, and the names of the layers that changed."""
    changed: dict[str, Layer] = {}
    for name, layer in spec.layers.items():
        shapes = {weight.role: weight.shape for weight in spec.layer_weights(name)}
        new = edited(layer, shapes, edit)
        if new is not layer:
            changed[name] = new
    return (spec.with_layers(changed) if changed else spec), tuple(changed)


def edited(layer: Layer, shapes: Shapes, edit: EditLayer) -> Layer:
    """The layer after the edit; the same object where nothing changed."""
    changes = dict(edit(layer, shapes))
    for argument in _NESTED:
        inner = getattr(layer, argument, None)
        if isinstance(inner, Layer):
            new: Any = edited(inner, shapes, edit)
            if new is not inner:
                changes[argument] = new
        elif isinstance(inner, tuple) and all(isinstance(item, Layer) for item in inner):
            new = tuple(edited(item, shapes, edit) for item in inner)
            if any(one is not other for one, other in zip(new, inner, strict=True)):
                changes[argument] = new
    if not changes:
        return layer
    # Not by copy_layer: a wrapper's own argument is called `layer`.
    return type(layer)(**{**{name: getattr(layer, name) for name in type(layer).model_fields}, **changes})


def layers_inside(spec: ModelSpec) -> list[tuple[str, Layer]]:
    """(name in the model, layer) of all layers, those inside of wrappers after their wrapper."""
    found: list[tuple[str, Layer]] = []

    def visit(name: str, layer: Layer) -> None:
        found.append((name, layer))
        for argument in _NESTED:
            inner = getattr(layer, argument, None)
            for item in inner if isinstance(inner, tuple) else (inner,):
                if isinstance(item, Layer):
                    visit(name, item)

    for name, layer in spec.layers.items():
        visit(name, layer)
    return found


def was_written(optimizer: Optimizer, argument: str) -> bool:
    """Whether the user said what this argument is."""
    return argument in optimizer.model_fields_set


def change_optimizers(recipe: Recipe, edit: EditOptimizer) -> Recipe:
    """The recipe with its optimizer and those of its phases edited; the same object where nothing changed."""
    optimizer = _changed(recipe.optimizer, edit)
    phases = tuple(
        phase if phase.optimizer is None or (new := _changed(phase.optimizer, edit)) is phase.optimizer
        else copy_phase(phase, optimizer=new) for phase in recipe.phases
    )
    if optimizer is recipe.optimizer and all(one is other for one, other in zip(phases, recipe.phases, strict=True)):
        return recipe
    return copy_recipe(recipe, optimizer=optimizer, phases=phases)


def _changed(optimizer: Optimizer, edit: EditOptimizer) -> Optimizer:
    changes = edit(optimizer)
    if not changes:
        return optimizer
    # Only what was written is handed on: what is left to its default must still be known as left.
    given = {name: getattr(optimizer, name) for name in optimizer.model_fields_set}
    return type(optimizer)(**{**given, **changes})


def optimizers(recipe: Recipe) -> list[Optimizer]:
    """The optimizers that play a part."""
    return [phase.optimizer for phase in recipe.resolved_phases() if phase.optimizer is not None]


def copy_recipe(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with some arguments changed."""
    return Recipe(**{**{name: getattr(recipe, name) for name in Recipe.model_fields}, **changes})


def copy_phase(phase: Phase, **changes: Any) -> Phase:
    """The phase with some arguments changed."""
    return Phase(**{**{name: getattr(phase, name) for name in Phase.model_fields}, **changes})


def number(value: float) -> str:
    """ "1e-07" as "1e-7"."""
    return f"{value:g}".replace("e-0", "e-").replace("e+0", "e+")
