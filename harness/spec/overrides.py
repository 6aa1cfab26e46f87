"""Overrides from the command line, and the line of a mistake inside a section of a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import yaml

from harness.errors import SpecError, did_you_mean
from harness.spec.axes import axis_names, with_value
from harness.spec.files import Document
from harness.spec.places import replaced


def apply_override(data: Mapping[str, Any], override: str, keys: Sequence[str]) -> dict[str, Any]:
    """The experiment's plain data with "key=value" applied.

    keys: what may stand at the top. A value for something that is an axis of the matrix replaces the axis's
    values; the name of an axis alone ("tier=idiomatic", "seed=[0, 1]") is that axis.
    """
    where = f"override {override!r}"
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise SpecError("an override is written key=value.", where=where, hint="For example recipe.epochs=3.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(f"the value is no YAML: {str(error).splitlines()[0]}.", where=where) from None
    matrix = data.get("matrix")
    matrix = dict(matrix) if isinstance(matrix, Mapping) else {}
    path = tuple(key.split("."))
    short = path[-1] if len(path) == 2 and path[0] in ("recipe", "execution") else key
    axis = next((name for name in (key, short) if name in matrix), None)
    if path[0] == "matrix" and len(path) > 1:
        # The axis itself may be a dotted path.
        return {**data, "matrix": {**matrix, ".".join(path[1:]): value}}
    if axis is not None or (key in axis_names() and key not in keys):
        return {**data, "matrix": {**matrix, axis or key: value if isinstance(value, list) else [value]}}
    if path[0] not in keys:
        raise SpecError(f"there is no {path[0]!r} in an experiment.", where=where,
                        hint=did_you_mean(path[0], [*keys, *axis_names()]))
    try:
        if path == ("recipe", "epochs"):
            return with_value({"recipe": {}, **data}, path, value)
        changed: dict[str, Any] = replaced(data, path, value)
    except SpecError as error:
        raise error.at(where) from None
    return changed


@contextmanager
def located(document: Document | None, keys: tuple[Any, ...], value: Any) -> Iterator[None]:
    """Puts file and line, as near as the message tells, in front of a SpecError raised inside."""
    try:
        yield
    except SpecError as error:
        place = (*keys, *_named_in(str(error), value))
        where = document.where(*place) if document else ".".join(str(key) for key in place)
        raise error.at(where) from None


def _named_in(message: str, value: Any) -> tuple[Any, ...]:
    """The keys, from the outside in, that the message names: the value it complains about."""
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            if re.search(rf"\[{index}\]|\.{index}\b", message):
                return (index, *_named_in(message, item))
        for index, item in enumerate(value):
            inner = _named_in(message, item)
            if inner:
                return (index, *inner)
        return ()
    if isinstance(value, Mapping):
        found = [key for key in value if re.search(rf"\b{re.escape(str(key))}\b", message)]
        # "Did you mean 'epochs'?" names a key as well: what is quoted or followed by a colon counts first.
        found.sort(key=lambda key: re.search(rf"'{re.escape(str(key))}'|\b{re.escape(str(key))}:", message) is None)
        if found:
            return (found[0], *_named_in(message, value[found[0]]))
        # No key of this mapping is named: perhaps one further inside is.
        for key, item in value.items():
            if isinstance(item, (Mapping, list, tuple)) and (inner := _named_in(message, item)):
                return (key, *inner)
    return ()
