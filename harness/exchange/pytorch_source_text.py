"""Values and calls as Python text: literals, calls on one line or several, names."""

from __future__ import annotations

import json
import keyword
import math
import re
from collections.abc import Callable, Container, Sequence
from typing import Any

from harness.exchange.pytorch_source_edits import WIDTH, rows

LONG = 8


def literal(value: Any) -> str:
    """A plain value as Python writes it. Raises TypeError for any other."""
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if value is Ellipsis:
        return "..."
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, (bool, int)):
        return repr(value)
    if isinstance(value, slice):
        return f"slice({', '.join(literal(part) for part in (value.start, value.stop, value.step))})"
    if isinstance(value, (tuple, list)):
        return _row(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    raise TypeError(type(value).__name__)


def _row(values: Sequence[Any]) -> str:
    """A tuple or list; a long one of equal or of consecutive numbers in short."""
    opening, closing = ("(", ")") if isinstance(values, tuple) else ("[", "]")
    kinds = {type(value) for value in values}
    if len(values) > LONG and kinds in ({int}, {float}):
        first = values[0]
        comma = "," if opening == "(" else ""
        if all(value == first for value in values):
            return f"{opening}{literal(first)}{comma}{closing} * {len(values)}"
        if all(value == first + place for place, value in enumerate(values)) and first == int(first):
            start = f"{int(first)}, " if first else ""
            name = "tuple" if opening == "(" else "list"
            counted = f"range({start}{int(first) + len(values)})"
            return f"{name}({counted})" if kinds == {int} else f"{name}(map(float, {counted}))"
    items = ", ".join(map(literal, values))
    return f"{opening}{items}{',' if opening == '(' and len(values) == 1 else ''}{closing}"


def call(before: str, arguments: Sequence[str], after: str = ")", indent: int = 8) -> str:
    """`before(arguments)` at an indentation, broken where the line gets too long."""
    space = " " * indent
    line = f"{space}{before}({', '.join(arguments)}{after}"
    if len(line) <= WIDTH:
        return line
    return "\n".join((f"{space}{before}(", *(f"{space}    {row}" for row in rows(arguments, WIDTH - indent - 4)),
                      f"{space}{after}"))


def identifier(name: str, taken: Container[str] | Callable[[str], bool]) -> str:
    """A name as Python allows it, near the given one and not taken."""
    # Python gives names with two underscores in front another meaning inside a class.
    text = re.sub(r"^_+", "_", re.sub(r"\W", "_", name, flags=re.ASCII))
    text = text if text and not text[0].isdigit() else f"layer_{text}"
    is_taken = taken if callable(taken) else taken.__contains__
    while keyword.iskeyword(text) or is_taken(text):
        text += "_"
    return text


def remark(name: str) -> str:
    """A name as it may stand in a docstring: nothing in it ends the text or escapes a letter."""
    return re.sub(r"[^\w ./?!@+:;,()-]", "_", name)


def class_name(name: str, taken: Container[str]) -> str:
    """ "resnet_20" as Resnet20; followed by Model where that is a layer's class."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    text = "".join(word[0].upper() + word[1:] for word in words)
    if not text or text[0].isdigit() or text in taken or keyword.iskeyword(text):
        text = f"Model{text}" if not text or text[0].isdigit() else f"{text}Model"
    while text in taken:
        text += "_"
    return text
