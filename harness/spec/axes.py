"""The axes of a matrix: what they may be called, where they put their values, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError, did_you_mean
from harness.spec.dataset import DatasetSpec
from harness.spec.execution import Execution
from harness.spec.files import Document
from harness.spec.places import replaced
from harness.spec.recipe import Recipe

SECTIONS: dict[str, Any] = {"data": DatasetSpec, "recipe": Recipe, "execution": Execution}


def axis_names() -> list[str]:
    """The axes that have a name of their own."""
    return ["model", "data", "backend", "seed", *Execution.model_fields, *Recipe.model_fields]


def target(axis: str) -> tuple[str, ...]:
    """Where an axis puts its value. Raises SpecError for a name that is no axis."""
    parts = tuple(axis.split("."))
    if len(parts) > 1:
        if parts[0] not in ("model", *SECTIONS) or not all(parts):
            raise SpecError(f"{axis!r} is no axis.", hint=did_you_mean(parts[0], ("model", *SECTIONS)))
        if parts[0] in SECTIONS and parts[1] not in SECTIONS[parts[0]].model_fields and parts[0] != "data":
            raise SpecError(f"{axis!r} is no axis: there is no {parts[1]!r} in {parts[0]!r}.",
                            hint=did_you_mean(parts[1], SECTIONS[parts[0]].model_fields))
        return parts
    if axis in Execution.model_fields:
        return ("execution", axis)
    if axis in Recipe.model_fields:
        return ("recipe", axis)
    if axis in axis_names():
        return parts
    raise SpecError(f"{axis!r} is no axis.", hint=did_you_mean(axis, axis_names()))


def with_value(data: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The settings with one value changed. `recipe.epochs` is every phase's number of epochs where the recipe
    has phases: their own would otherwise always win, and the change do nothing."""
    changed: dict[str, Any] = replaced(data, path, value)
    if path == ("recipe", "epochs"):
        recipe = changed["recipe"]
        phases = recipe.get("phases")
        if isinstance(phases, (list, tuple)):
            phases = [{**phase, "epochs": value} if isinstance(phase, Mapping) else phase for phase in phases]
            changed["recipe"] = {**recipe, "phases": phases}
    return changed


def read_axes(given: Mapping[str, Any], document: Document | None) -> dict[str, tuple[Any, ...]]:
    matrix = given.get("matrix") or {}
    if not isinstance(matrix, Mapping):
        raise SpecError(f"'matrix' is a mapping of axis: [values], got {matrix!r}.", where=where(document, ("matrix",)))
    axes = {}
    for axis, values in matrix.items():
        spot = where(document, ("matrix", axis))
        try:
            target(str(axis))
        except SpecError as error:
            raise error.at(spot) from None
        axes[str(axis)] = _values(str(axis), values, spot)
    for axis, default in (("backend", ["tensorflow", "pytorch"]), ("seed", [0])):
        if axis in given and axis in axes:
            raise SpecError(f"{axis!r} stands both at the top and in the matrix.", where=where(document, (axis,)))
        axes.setdefault(axis, _values(axis, given.get(axis, default), where(document, (axis,))))
    return axes


def _values(axis: str, values: Any, spot: str) -> tuple[Any, ...]:
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    if not values:
        raise SpecError(f"the axis {axis!r} has no values.", where=spot, hint="Give at least one, or leave it out.")
    for index, value in enumerate(values):
        if any(value == other and type(value) is type(other) for other in values[:index]):
            raise SpecError(f"the axis {axis!r} has the value {value!r} twice.", where=spot)
    return tuple(values)


def read_exclusions(given: Mapping[str, Any], document: Document | None) -> tuple[Mapping[str, Any], ...]:
    value = given.get("exclude") or []
    spot = where(document, ("exclude",))
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) and item for item in value):
        raise SpecError("'exclude' is a list of {axis: value}.", where=spot)
    known = {*(given.get("matrix") or {}), "backend", "seed", *(["variant"] if given.get("variants") else [])}
    for index, item in enumerate(value):
        for axis in item:
            if axis not in known:
                raise SpecError(f"{axis!r} is no axis of this matrix.", where=where(document, ("exclude", index, axis)),
                                hint=did_you_mean(axis, known))
    return tuple({str(axis): wanted for axis, wanted in item.items()} for item in value)


def where(document: Document | None, keys: tuple[Any, ...]) -> str:
    """File and line of these keys, or the dotted path where there is no file."""
    return document.where(*keys) if document else "experiment" + "".join(f".{key}" for key in keys)
