"""JSON that every reader accepts: no bare NaN or Infinity, NumPy scalars as numbers.

A float that is not finite is written as the string "NaN", "Infinity" or "-Infinity". null keeps its own
meaning, "not measured" or "not applicable", so a loss that became NaN is never mistaken for one that
nobody looked at.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
NOT_FINITE_TEXT = re.compile('"(?:NaN|-?Infinity)"')
# What may be a number too large, or only digits inside a text.
HUGE = re.compile(r"\d{19}|[eE]\+?\d{3}")
# Keys whose value is text, even where the text reads "NaN".
TEXT_KEYS = frozenset({"name", "phase", "program", "message", "kind"})


def to_plain(value: Any) -> Any:
    """Dicts, lists, str, int, bool, None and finite floats; NumPy values become Python's own."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist") and not isinstance(value, (str, bytes)):
        return to_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def dumps(value: Any, indent: int | None = 1) -> str:
    """Strict JSON text, keys in the order given. Raises TypeError for what JSON cannot hold."""
    if indent is None:
        # What is large is written in one line, and mostly holds neither NumPy's numbers nor what is not finite.
        with contextlib.suppress(ValueError, TypeError):
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return json.dumps(to_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> str:
    """One line, keys sorted: equal data give equal text. For grouping and digests."""
    return json.dumps(to_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def loads(text: str) -> Any:
    """Raises ValueError for anything that is not strict JSON (a bare NaN included), and for a number that no reader
    can hold: an integer beyond 64 bits, a float beyond the largest."""
    if HUGE.search(text) is None:
        return json.loads(text, parse_constant=_refuse)
    return json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_float)


def _refuse(constant: str) -> Any:
    raise ValueError(f"the bare constant {constant} is not JSON")


def _integer(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise ValueError(f"the number {text[:20]}... is beyond 64 bits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is beyond every float")
    return value


def to_numbers(value: Any) -> Any:
    """Turns the strings of `NOT_FINITE` back into floats, except under `TEXT_KEYS`."""
    if isinstance(value, dict):
        return {key: item if key in TEXT_KEYS else to_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_numbers(item) for item in value]
    if isinstance(value, str):
        return NOT_FINITE.get(value, value)
    return value
