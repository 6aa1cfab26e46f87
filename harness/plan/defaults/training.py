"""Optimizers: the defaults of torch.optim (2.13) where the recipe leaves them, and the forms of decay and clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.plan.defaults.base import (
    Change,
    Shapes,
    change_layers,
    change_optimizers,
    layers_inside,
    number,
    optimizers,
    was_written,
)
from harness.spec.layers.base import Layer
from harness.spec.model import ModelSpec
from harness.spec.optimizers import Optimizer
from harness.spec.recipe import Recipe
from harness.spec.regularizers import L1, L1L2, L2, Regularizer

# Class in Keras -> argument in Keras -> torch.optim's own default.
LEARNING_RATE = {"SGD": 0.001, "RMSprop": 0.01, "Adagrad": 0.01, "Adadelta": 1.0, "Adamax": 0.002, "Nadam": 0.002,
                 "Adafactor": 0.01}
EPSILON = {"Adam": 1e-8, "AdamW": 1e-8, "Adamax": 1e-8, "Nadam": 1e-8, "Adadelta": 1e-6}
# sqrt(v) + epsilon there, sqrt(v + epsilon) here: the square has the same floor, and is never farther off than sqrt(2).
EPSILON_INSIDE = {"RMSprop": 1e-8**2, "Adagrad": 1e-10**2}
RHO = {"RMSprop": 0.99, "Adadelta": 0.9}
ACCUMULATOR = {"Adagrad": 0.0}
DECAY = {"AdamW": 0.01}
# The optimizers whose weight_decay is a part of the gradient in torch.optim.
COUPLED = ("SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam")


def learning_rate(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """The learning rate, where none is written."""
    return _argument(spec, recipe, "learning_rate", LEARNING_RATE)


def epsilon(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """epsilon."""
    return _argument(spec, recipe, "epsilon", EPSILON)


def epsilon_inside(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """epsilon of the optimizers that have it inside of the root in Keras, outside in PyTorch."""
    found = _argument(spec, recipe, "epsilon", EPSILON_INSIDE)
    if found is None:
        return None
    outside = {1e-8**2: "1e-8", 1e-10**2: "1e-10"}
    kinds = [type(item).__name__ for item in optimizers(recipe) if type(item).__name__ in EPSILON_INSIDE]
    torch = ", ".join(dict.fromkeys(f"{outside[EPSILON_INSIDE[kind]]} outside" for kind in kinds))
    return Change(spec, found.recipe, found.where, f"{found.keras} inside of the root", torch)


def rho(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """The share of the running mean of squares that a step keeps."""
    return _argument(spec, recipe, "rho", RHO)


def accumulator(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """What Adagrad's sum of squares starts from."""
    return _argument(spec, recipe, "initial_accumulator_value", ACCUMULATOR)


def decay(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """AdamW's weight decay, where none is written."""
    return _argument(spec, recipe, "weight_decay", DECAY)


def clipping(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """clipnorm: of each variable's gradient in Keras; torch.nn.utils.clip_grad_norm_ takes all as one vector."""

    def edit(optimizer: Optimizer) -> dict[str, Any]:
        if optimizer.clipnorm is None:
            return {}
        return {"clipnorm": None, "global_clipnorm": optimizer.clipnorm}

    changed = change_optimizers(recipe, edit)
    if changed is recipe:
        return None
    return Change(spec, changed, ("optimizer",), "of each variable's gradient", "of all gradients as one vector")


def penalty_form(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """L2 penalties: PyTorch's idiom is the optimizer's weight_decay, half as strong and on every parameter."""
    found = {regularizer.l2 for _, layer in layers_inside(spec) for regularizer in _regularizers(layer).values()
             if isinstance(regularizer, L2)}
    if len(found) != 1 or not _all_coupled(recipe):
        return None
    (l2,) = found

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        return {name: L2(l2=l2 / 2) for name, value in _regularizers(layer).items()
                if value is None or isinstance(value, L2)}

    changed, where = change_layers(spec, edit)
    return Change(changed, recipe, where, f"{number(l2)} sum(w^2), on the weights that say so",
                  f"weight_decay={number(l2)}: {number(l2)}/2 sum(w^2), on every parameter")


def decay_form(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """weight_decay of optimizers other than AdamW: beside the update in Keras, a part of the gradient in PyTorch."""
    decays = {item.weight_decay for item in optimizers(recipe)}
    plain = all(not item.exclude_from_weight_decay for item in optimizers(recipe))
    if len(decays) != 1 or not any(decays) or not plain or not _all_coupled(recipe):
        return None
    amount = float(decays.pop() or 0.0) / 2

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        return {name: more for name, value in _regularizers(layer).items() if (more := _more(value, amount))}

    changed, where = change_layers(spec, edit)
    without = change_optimizers(recipe, lambda optimizer: {"weight_decay": None} if optimizer.weight_decay else {})
    return Change(changed, without, where, "decoupled: the weights shrink beside the update",
                  "coupled: a part of the gradient")


def _more(value: Regularizer | None, l2: float) -> Regularizer | None:
    """The regularizer with that much more of the L2 term; None for one that has no such term."""
    if value is None:
        return L2(l2=l2)
    if not isinstance(value, (L1, L2, L1L2)):
        return None
    first, second = value.factors()
    return L1L2(l1=first, l2=second + l2) if first else L2(l2=second + l2)


def _regularizers(layer: Layer) -> dict[str, Regularizer | None]:
    """The layer's regularizers of weights by argument."""
    return {name: getattr(layer, name) for name in type(layer).model_fields
            if name.endswith("_regularizer") and name != "activity_regularizer"}


def _all_coupled(recipe: Recipe) -> bool:
    return all(type(item).__name__ in COUPLED for item in optimizers(recipe))


def _argument(spec: ModelSpec, recipe: Recipe, argument: str, table: Mapping[str, float]) -> Change | None:
    """One argument of the optimizers that leave it to Keras's default."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}

    def edit(optimizer: Optimizer) -> dict[str, Any]:
        kind = type(optimizer).__name__
        if kind not in table or was_written(optimizer, argument):
            return {}
        before[kind], after[kind] = number(getattr(optimizer, argument)), number(table[kind])
        return {argument: table[kind]}

    changed = change_optimizers(recipe, edit)
    if changed is recipe:
        return None
    return Change(spec, changed, ("optimizer",), ", ".join(before.values()), ", ".join(after.values()))
