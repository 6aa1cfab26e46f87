"""What records of one combination have in common: their setting and their certificate, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from harness.records.certificates import DECIDING, certificate_key
from harness.records.settings_key import PAIRED, setting_key

# Where a record holds what it shares with others of its setting, or of the whole run.
SHARED = (*(("cell", name) for name in ("model", *DECIDING)), ("environment",), ("data",))


class SharedCell:
    """cell: of one of these records; of the others' it differs in backend, seed and labels at most."""

    def __init__(self, cell: Mapping[str, Any]) -> None:
        self.cell = cell
        self._settings: dict[tuple[tuple[str, str], ...], str] = {}

    def setting(self, labels: Mapping[str, str] | None) -> str:
        """`setting_key` of the cell with these labels."""
        own = tuple((axis, str(text)) for axis, text in (labels or {}).items() if axis not in PAIRED)
        if own not in self._settings:
            self._settings[own] = setting_key({**self.cell, "labels": labels})
        return self._settings[own]

    @cached_property
    def certificate(self) -> str | None:
        """`certificate_key` of the cell."""
        return certificate_key(self.cell)
