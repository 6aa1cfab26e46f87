"""Which runs may be compared: those of one setting, the same in everything but the backend and the seed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from harness.records import strict_json

KEY = re.compile(r"[0-9a-f]{12}")
# Axes that do not part settings.
PAIRED = ("backend", "seed")


def setting_key(cell: Mapping[str, Any]) -> str:
    """12 hexadecimal characters for the "cell" of a record or a block: its model, data, recipe, execution, labels."""
    model = cell.get("model") or {}
    identity = {
        "model": model.get("digest") or model.get("spec") or model.get("name"),
        "data": cell.get("data"),
        "recipe": cell.get("recipe"),
        "execution": cell.get("execution"),
        "labels": {axis: text for axis, text in (cell.get("labels") or {}).items() if axis not in PAIRED},
    }
    return hashlib.sha256(strict_json.canonical(identity).encode(errors="backslashreplace")).hexdigest()[:12]


def setting_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The "cell" of a record without what its setting leaves open: what stands in a block's file."""
    kept = {key: value for key, value in cell.items() if key not in PAIRED}
    labels = {axis: text for axis, text in (cell.get("labels") or {}).items() if axis not in PAIRED}
    return {**kept, "labels": labels}
