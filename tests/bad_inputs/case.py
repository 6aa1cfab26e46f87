"""A broken input as data, and what the command line must say about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Content = str | bytes | Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """name: for pytest. files: path -> text, bytes, or a function that makes the file at the path.
    command: after `harness`. expected: regular expressions that the message must hold, the place among them."""

    name: str
    command: str
    expected: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())


def listing(folder: Path) -> dict[str, str]:
    """Everything below the folder with its content: path -> sha256 ("" for a folder)."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }
