"""key=value on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import SpecError


def pairs(items: Sequence[str]) -> dict[str, Any]:
    """{"units": [32, 32]} for ["units=[32,32]"]: values are read as YAML. Raises SpecError."""
    found: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise SpecError(f"expected key=value, got {item!r}.")
        if key in found:
            raise SpecError(f"{key!r} is given twice.")
        found[key.strip()] = value(text, item)
    return found


def value(text: str, item: str) -> Any:
    """The YAML value of a text; `item` is named in errors."""
    from harness.spec.files import read_yaml

    try:
        return read_yaml(text, Path(item)).data
    except SpecError as error:
        raise SpecError(f"the value is no YAML: {error.message}", where=item,
                        hint="Write a number, a word, or a list such as [32,32]; quote it from the shell.") from None
