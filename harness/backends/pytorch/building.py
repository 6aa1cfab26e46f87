"""The modules of a network: one per layer of the spec, under a name that torch allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from harness.backends.pytorch.layers import BUILDERS
from harness.backends.pytorch.layers.operations_building import build_operation
from harness.backends.pytorch.weights import weight_maps
from harness.errors import SpecError
from harness.spec.layers.registration import registered_builder
from harness.spec.model import ModelSpec
from harness.spec.operations.base import Operation


def build_module(spec: ModelSpec, name: str, inplace: Mapping[str, int] | None = None) -> nn.Module:
    """The module of a layer, its weight maps those that the spec declares. inplace: what it may write over
    (overwriting.py). Raises SpecError where there is none."""
    layer = spec.layers[name]
    if isinstance(layer, Operation):
        return _operation(spec, name, layer)
    builder = BUILDERS.get(type(layer)) or registered_builder(type(layer), "pytorch")
    if builder is None:
        raise SpecError(f"the PyTorch backend has no {type(layer).__name__} layer.",
                        where=f"model {spec.name!r}, layer {name!r}")
    module = builder(layer, *spec.input_shapes(spec.first_calls[name]), **inplace or {})
    declared = {weight.role for weight in spec.layer_weights(name)}
    # A class may list the maps of all its possible weights; only those that this layer has are kept.
    module.keras_weights = {role: item for role, item in weight_maps(module).items() if role in declared}  # type: ignore[assignment]
    if set(weight_maps(module)) != declared:
        raise SpecError(f"the PyTorch module of {type(layer).__name__} maps the weights {sorted(weight_maps(module))}, "
                        f"the spec declares {sorted(declared)}.", where=f"model {spec.name!r}, layer {name!r}")
    return module


def _operation(spec: ModelSpec, name: str, layer: Operation) -> nn.Module:
    """The module of an operation, the constants of its call built in."""
    calls = [node for node in spec.nodes if node.layer == name]
    if any(node.arguments != calls[0].arguments for node in calls):
        raise SpecError("an operation is called twice with different constants.",
                        where=f"model {spec.name!r}, layer {name!r}", hint="Write it down twice.")
    return build_operation(layer, calls[0].arguments, *spec.input_shapes(calls[0]))


def module_names(names: Iterable[str]) -> dict[str, str]:
    """Each layer's name as torch allows it: without ".", and no method of ModuleDict ("keys", "values")."""
    given: dict[str, str] = {}
    empty = nn.ModuleDict()
    for name in names:
        allowed = name.replace(".", "_")
        while allowed in given.values() or hasattr(empty, allowed):
            allowed += "_"
        given[name] = allowed
    return given


class WithoutFirstValues(TorchFunctionMode):
    """Lets modules be made without drawing torch's own first values, which the plan's replace anyway: half of the
    time that it takes to make a large network."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
