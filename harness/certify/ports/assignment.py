"""Modules for layers: by class and shape first, then by name, by order of calls and by order of declaration."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.certify.ports.names import Given, Names, same_name
from harness.certify.ports.rules import Demand, Fit, TorchUnit, alternatives
from harness.errors import SpecError
from harness.spec.model import ModelSpec

# Equal layers in branches side by side are taken in every order, up to so many.
MOST_UNORDERED = 3


@dataclass(frozen=True)
class Item:
    """A demand with the module that holds it. transforms: role -> what the user says in place of the rule's."""

    layer: str
    label: str
    unit: TorchUnit
    fit: Fit
    transforms: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.unit.label


# One way to serve all demands of a group.
Option = list[Item]


@dataclass
class Assigned:
    """groups: (name, the options) of demands that compete for the same modules. weights: what the user said of single
    weights. loose: layers that no rule serves, with the module that is left for each."""

    groups: list[tuple[str, list[Option]]] = field(default_factory=list)
    weights: dict[str, Given] = field(default_factory=dict)
    loose: list[tuple[str, TorchUnit]] = field(default_factory=list)


def assign(spec: ModelSpec, units: Sequence[TorchUnit], names: Names) -> Assigned:
    """Raises SpecError where the user names a module that cannot hold the layer."""
    found = Assigned()
    all_weights = {weight.name for weight in spec.weights}
    found.weights = {key: given for key, given in names.entries.items() if key in all_weights}
    demands, unserved, taken = [], [], set[str]()
    for layer in dict.fromkeys(weight.layer for weight in spec.weights):
        roles = {weight.role: weight.shape for weight in spec.weights if weight.layer == layer}
        if all(f"{layer}/{role}" in found.weights for role in roles):
            continue
        ways = alternatives(layer, spec.layers[layer], roles)
        chosen = next((option for option in ways if _servable(option, units, names)), None)
        if chosen is None:
            unserved.append(layer)
            continue
        for demand in chosen:
            unit = _named(demand, units, names)
            if unit is None:
                demands.append(demand)
            else:
                found.groups.append((demand.label, [[_item(demand, unit, names)]]))
                taken.add(unit.label)
    free = [unit for unit in units if unit.label not in taken]
    before = _ancestors(spec)
    for group, fitting in _components(demands, free):
        options = _options(group, fitting, before)
        taken |= {item.unit.label for item in options[0]}
        found.groups.append((", ".join(demand.label for demand in group), options))
    _give_loose(found, unserved, [unit for unit in units if unit.label not in taken], names, units)
    return found


def _servable(option: Sequence[Demand], units: Sequence[TorchUnit], names: Names) -> bool:
    for demand in option:
        named = _named(demand, units, names)
        if not any(demand.rule(unit) for unit in ([named] if named else units)):
            return False
    return True


def _named(demand: Demand, units: Sequence[TorchUnit], names: Names) -> TorchUnit | None:
    given = names.entries.get(demand.label) or names.entries.get(demand.layer)
    if given is None:
        return None
    return next((unit for unit in units if unit.label in given.torch or unit.path in given.torch), None)


def _item(demand: Demand, unit: TorchUnit, names: Names | None = None) -> Item:
    fit = demand.rule(unit)
    assert fit is not None
    given = names and (names.entries.get(demand.label) or names.entries.get(demand.layer))
    kernel = next(iter(fit.roles))
    return Item(demand.layer, demand.label, unit, fit,
                {kernel: given.transform} if given and given.transform else {})


def _components(
    demands: Sequence[Demand], units: Sequence[TorchUnit]
) -> list[tuple[list[Demand], list[TorchUnit]]]:
    """Demands that fit the same modules, with these."""
    groups: dict[tuple[str, ...], tuple[list[Demand], list[TorchUnit]]] = {}
    for demand in demands:
        fitting = [unit for unit in units if demand.rule(unit) is not None]
        if fitting:
            groups.setdefault(tuple(unit.label for unit in fitting), ([], fitting))[0].append(demand)
    return list(groups.values())


def _options(
    demands: list[Demand], units: list[TorchUnit], before: Mapping[str, set[str]]
) -> list[Option]:
    """The assignments that fit, the likeliest first: by name, in the order of calls, of declaration."""
    by_name = [[unit for unit in units if same_name(demand.layer, demand.part, unit.path)] for demand in demands]
    if all(len(found) == 1 for found in by_name) and len({found[0].label for found in by_name}) == len(demands):
        return [[_item(demand, found[0]) for demand, found in zip(demands, by_name, strict=True)]]
    called = sorted(units, key=lambda unit: (unit.first_call is None, unit.first_call or 0))
    orders = [called, units]
    if len(demands) == len(units) <= MOST_UNORDERED and not _in_a_row(demands, before):
        orders += [list(order) for order in itertools.permutations(called)]
    found: dict[tuple[str, ...], Option] = {}
    for order in orders:
        option = [_item(demand, unit) for demand, unit in zip(demands, order, strict=False)]
        found.setdefault(tuple(item.unit.label for item in option), option)
    return list(found.values())


def _in_a_row(demands: Sequence[Demand], before: Mapping[str, set[str]]) -> bool:
    """Whether the model itself orders the layers: each follows from the one before it."""
    return all(first.layer == second.layer or first.layer in before[second.layer]
               for first, second in itertools.pairwise(demands))


def _ancestors(spec: ModelSpec) -> dict[str, set[str]]:
    """Layer -> the layers that its first call depends on."""
    tensors: dict[str, set[str]] = {item.name: set() for item in spec.inputs}
    found: dict[str, set[str]] = {}
    for node in spec.nodes:
        above = set().union(*(tensors[name.split(":")[0]] for name in node.references)) if node.references else set()
        found.setdefault(node.layer, above)
        tensors[node.name] = above | {node.layer}
    return found


def _give_loose(
    found: Assigned, layers: Sequence[str], free: Sequence[TorchUnit], names: Names, units: Sequence[TorchUnit]
) -> None:
    """Layers that no rule serves get the module that the user names, or the modules that are left, in order of calls.
    """
    left = sorted(free, key=lambda unit: (unit.first_call is None, unit.first_call or 0))
    for layer in layers:
        given = names.entries.get(layer)
        if given is not None:
            unit = next((unit for unit in units if unit.label in given.torch or unit.path in given.torch), None)
            if unit is None:
                raise SpecError(f"{layer}: the port has no module {given.torch[0]!r} with tensors of its own.",
                                where=names.where)
            found.loose.append((layer, unit))
        elif left:
            found.loose.append((layer, left.pop(0)))
