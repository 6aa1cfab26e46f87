"""Short texts for the values of an axis: what people read in tables and progress lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

LONGEST = 60


def axis_labels(values: Sequence[Any]) -> list[str]:
    """One text per value, no two alike."""
    texts = [short_text(value) for value in values]
    return [f"{text} #{texts[:index].count(text) + 1}" if texts.count(text) > 1 else text
            for index, text in enumerate(texts)]


def short_text(value: Any) -> str:
    """"adam", "simple_cnn(num_classes=10)", "my_model" for models/my_model.yaml, "[1, 2]"."""
    if isinstance(value, str):
        path = PurePath(value)
        return path.stem if path.suffix in (".py", ".yaml", ".yml", ".json", ".safetensors") and path.stem else value
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str):
            return str(value["name"])
        if isinstance(value.get("source"), (str, Mapping)):
            return short_text(value["source"])
        if len(value) == 1:
            ((name, arguments),) = value.items()
            if isinstance(arguments, Mapping):
                inside = ", ".join(f"{key}={short_text(item)}" for key, item in arguments.items())
                return _cut(f"{short_text(str(name))}({inside})" if inside else short_text(str(name)))
    return _cut(json.dumps(value, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
