"""Arguments and forms of layers that differ: normalization, slopes, the GRU, the recurrent layers' second bias."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from harness.plan.defaults.base import (
    Change,
    Shapes,
    change_layers,
    copy_phase,
    copy_recipe,
    is_left,
    layers_inside,
    number,
)
from harness.spec.layers.base import Layer
from harness.spec.layers.cells import Gates, GRUGates
from harness.spec.model import ModelSpec, copy_layer
from harness.spec.recipe import Phase, Recipe

# torch.nn.RMSNorm(eps=None): the machine epsilon of the inputs' type, here float32.
RMS_EPSILON = 2.0**-23
NORM_EPSILON = {"LayerNormalization": 1e-5, "GroupNormalization": 1e-5, "RMSNormalization": RMS_EPSILON}
TORCH_SLOPE = 0.01


def batch_momentum(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """How much of the old moving averages a step of BatchNormalization keeps."""
    return _argument(spec, recipe, "BatchNormalization", "momentum", 0.9, "0.99 of the moving averages is kept",
                     "0.9 is kept (momentum=0.1)")


def batch_epsilon(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """epsilon of BatchNormalization."""
    return _argument(spec, recipe, "BatchNormalization", "epsilon", 1e-5, "1e-3", "1e-5")


def norm_epsilon(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """epsilon of the normalizations of single examples."""

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        value = NORM_EPSILON.get(type(layer).__name__)
        return {} if value is None or not is_left(layer, "epsilon") else {"epsilon": value}

    changed, where = change_layers(spec, edit)
    kinds = {type(layer).__name__ for _, layer in layers_inside(spec)} & set(NORM_EPSILON)
    keras = ", ".join(f"{'1e-6' if kind.startswith('RMS') else '1e-3'} ({kind})" for kind in sorted(kinds))
    torch = ", ".join(f"{number(NORM_EPSILON[kind])}" for kind in sorted(kinds))
    return Change(changed, recipe, where, keras, torch) if where else None


def leaky_slope(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Slope of LeakyReLU below 0, as a layer and as an activation."""

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        if type(layer).__name__ == "LeakyReLU":
            return {"negative_slope": TORCH_SLOPE} if is_left(layer, "negative_slope") else {}
        names = (name for name in ("activation", "recurrent_activation") if name in type(layer).model_fields)
        return {name: {"LeakyReLU": {"negative_slope": TORCH_SLOPE}} for name in names
                if getattr(layer, name) in ("leaky_relu", {"LeakyReLU": {}})}

    changed, where = change_layers(spec, edit)
    return Change(changed, recipe, where, "0.3 (the function: 0.2)", "0.01") if where else None


def prelu(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """How many slopes a PReLU trains, and where they start."""
    ranks = {name: len(spec.input_shapes(node)[0]) for name, node in spec.first_calls.items()}
    changed: dict[str, Layer] = {}
    for name, layer in spec.layers.items():
        if type(layer).__name__ == "PReLU" and is_left(layer, "alpha_initializer") and is_left(layer, "shared_axes"):
            changed[name] = copy_layer(layer, alpha_initializer={"Constant": {"value": 0.25}},
                                       shared_axes=tuple(range(1, ranks[name])))
    if not changed:
        return None
    return Change(spec.with_layers(changed), recipe, tuple(changed), "one per element, from 0", "one, from 0.25")


def gru_form(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """Where a GRU's reset gate stands. PyTorch has one form only."""

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        return {"reset_after": True} if isinstance(layer, GRUGates) and not layer.reset_after else {}

    changed, where = change_layers(spec, edit)
    return Change(changed, recipe, where, "reset before the product (reset_after=False, as written)",
                  "reset after the product") if where else None


def second_bias(spec: ModelSpec, recipe: Recipe) -> Change | None:
    """PyTorch's LSTM and RNN train two biases whose sum is Keras's one. They get the same gradients, so that an
    optimizer that works element by element moves the sum by twice the step: the bias's learning rate times two."""
    layers = {name for name, layer in layers_inside(spec)
              if isinstance(layer, Gates) and not isinstance(layer, GRUGates) and layer.use_bias}
    names = {weight.name: weight.layer for weight in spec.weights
             if weight.layer in layers and weight.role.split("/")[-1] == "bias"}
    if not names:
        return None
    phases = recipe.phases or (Phase(name="pretrain", epochs=recipe.epochs),)
    changed = copy_recipe(recipe, phases=tuple(_doubled(phase, names) for phase in phases))
    return Change(spec, changed, tuple(sorted(layers)), "one", "two, both trained")


def _doubled(phase: Phase, names: Mapping[str, str]) -> Phase:
    """The phase with twice the learning rate for these weights. names: weight -> its layer."""
    given = phase.learning_rate_multipliers

    def factor(name: str, layer: str) -> float:
        fits = (value for pattern, value in given.items() if fnmatchcase(name, pattern) or fnmatchcase(layer, pattern))
        return next(fits, 1.0)

    own = {name: 2 * factor(name, layer) for name, layer in names.items()}
    return copy_phase(phase, learning_rate_multipliers={**own, **given})


def _argument(
    spec: ModelSpec, recipe: Recipe, kind: str, argument: str, value: float, keras: str, torch: str,
) -> Change | None:
    """One argument of one class of layers."""

    def edit(layer: Layer, shapes: Shapes) -> dict[str, Any]:
        own = type(layer).__name__ == kind and is_left(layer, argument)
        return {argument: value} if own else {}

    changed, where = change_layers(spec, edit)
    return Change(changed, recipe, where, keras, torch) if where else None
