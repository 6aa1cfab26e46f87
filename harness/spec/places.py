"""Values in nested plain data, by dotted path: "recipe.optimizer", "recipe.phases.finetune.epochs".

A list's item is named by its index or, where the items have names, by its name. A path may go on into the
arguments of something that is written by its name: "recipe.optimizer.learning_rate" reaches into "adam"
and into {Adam: {...}} alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import SpecError, did_you_mean


def replaced(data: Any, path: tuple[str, ...], value: Any, done: tuple[str, ...] = ()) -> Any:
    """A copy of `data` with `value` at `path`; nothing of `data` is changed.

    Raises SpecError if the path leads through something that has no parts.
    """
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(data, (list, tuple)):
        index = _index(data, key, done)
        items = list(data)
        items[index] = replaced(items[index], rest, value, (*done, key))
        return items
    if data is None:
        data = {}
    if isinstance(data, str) and done == ("data",):
        data = {"source": data}
    if isinstance(data, str) and _by_name(done):
        data = {data: {}}
    if not isinstance(data, Mapping):
        raise SpecError(f"{'.'.join(done)!r} is {data!r}: there is no {key!r} in it.")
    if len(data) == 1 and key not in data and _by_name(done):
        ((name, arguments),) = data.items()
        return {name: replaced(arguments or {}, path, value, done)}
    return {**data, key: replaced(data.get(key), rest, value, (*done, key))}


def _by_name(done: tuple[str, ...]) -> bool:
    """Whether what stands here is written as a name or {Name: {arguments}}."""
    return done[-1:] in (("optimizer",), ("loss",), ("learning_rate",), ("source",), ("model",)) or (
        done[-2:-1] in (("metrics",), ("prepare",))
    )


def _index(items: Any, key: str, done: tuple[str, ...]) -> int:
    if key.isdigit() and int(key) < len(items):
        return int(key)
    names = [item.get("name") if isinstance(item, Mapping) else item for item in items]
    if key in names:
        return names.index(key)
    known = [str(name) for name in names if isinstance(name, str)] or [str(i) for i in range(len(items))]
    raise SpecError(f"there is no {key!r} in {'.'.join(done)!r}, which has {len(items)} entries.",
                    hint=did_you_mean(key, known))
