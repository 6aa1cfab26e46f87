"""Which cells the last run was to run: <store>/planned.txt, one id per line, in their order.

A store may hold more (an earlier form of the experiment) and less (what waits); only with this list can it be said
how many wait, without the models and data that the experiment names.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

FILE = "planned.txt"


def write_planned(store: Path | str, ids: Iterable[str]) -> None:
    """Whole or not at all."""
    path = Path(store) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{FILE}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        temporary.write_text("".join(f"{id}\n" for id in ids), encoding="ascii")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_planned(store: Path | str) -> list[str] | None:
    """The ids; None where no run has written them, or the list is not readable."""
    try:
        return (Path(store) / FILE).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
