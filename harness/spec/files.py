"""Reads YAML and JSON files as plain data, and remembers on which line everything stands.

YAML is read with the safe loader only: a tag that would run code is refused, and so is a key that
stands twice in one mapping.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import SpecError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LARGEST_FILE = 16 * 2**20
# Aliases can make a few lines stand for billions of values.
MOST_VALUES = 200_000


@dataclass(frozen=True)
class Document:
    """A file's content, and the line of every value: lines[("layers", 0, "Dense")] == 5."""

    data: Any
    path: Path
    lines: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def where(self, *keys: Any) -> str:
        """"file.yaml, line 5" for the value at these keys, or for the nearest one that encloses it."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        line = self.lines.get(keys)
        return f"{self.path}, line {line}" if line else str(self.path)


def read_document(path: Path | str) -> Document:
    """The content of a .yaml, .yml or .json file. Raises SpecError with the line of a syntax error."""
    path = Path(path)
    if not path.is_file():
        raise SpecError("there is no such file." if not path.exists() else "this is not a file.", where=str(path))
    if path.stat().st_size > LARGEST_FILE:
        raise SpecError(f"the file is larger than {LARGEST_FILE // 2**20} MiB; this is not a spec.", where=str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SpecError("the file is not UTF-8 text.", where=str(path)) from None
    if path.suffix == ".json":
        try:
            return Document(json.loads(text, object_pairs_hook=lambda pairs: _json_object(pairs, path)), path)
        except (json.JSONDecodeError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            raise SpecError(f"JSON syntax error: {error}.", where=f"{path}, line {line}") from None
    return read_yaml(text, path)


def _json_object(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise SpecError(f"the key {key!r} stands twice in one object.", where=str(path))
        found[key] = value
    return found


def read_yaml(text: str, path: Path) -> Document:
    """The content of a YAML text; `path` is named in errors."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        lines: dict[tuple[Any, ...], int] = {}
        if node is not None:
            _walk(node, (), lines, path, set())
        data = yaml.load(text, Loader=_Loader)
    except yaml.constructor.ConstructorError as error:
        mark = error.problem_mark
        raise SpecError(
            f"{error.problem}: only plain data may stand in this file, no tags.",
            where=f"{path}, line {mark.line + 1}" if mark else str(path),
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise SpecError(
            f"YAML syntax error: {error.problem or error.context}.",
            where=f"{path}, line {mark.line + 1}" if mark else str(path),
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SpecError(f"YAML syntax error: {error}.", where=str(path)) from None
    return Document(data, path, lines)


def _walk(node: yaml.Node, keys: tuple[Any, ...], lines: dict[Any, int], path: Path, above: set[int]) -> None:
    lines[keys] = node.start_mark.line + 1
    if len(lines) > MOST_VALUES:
        raise SpecError(f"the file holds more than {MOST_VALUES:,} values, aliases written out; this is not a spec.",
                        where=f"{path}, line {lines[keys]}")
    if id(node) in above:
        raise SpecError("an alias refers to what encloses it.", where=f"{path}, line {lines[keys]}")
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*keys, index), lines, path, above | {id(node)})
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, item in node.value:
            if key.value in seen:
                raise SpecError(f"the key {key.value!r} stands twice.",
                                where=f"{path}, line {key.start_mark.line + 1}")
            seen.add(key.value)
            _walk(item, (*keys, key.value), lines, path, above | {id(node)})
            lines[(*keys, key.value)] = key.start_mark.line + 1


def write_data(data: Any, path: Path | str) -> None:
    """Writes plain data as YAML or JSON by the path's ending."""
    path = Path(path)
    if path.suffix == ".json":
        path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    elif path.suffix in (".yaml", ".yml"):
        path.write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110), encoding="utf-8")
    else:
        raise SpecError(f"the file's ending must be .yaml, .yml or .json, got {path.suffix!r}.", where=str(path))
