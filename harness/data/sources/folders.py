"""Folders with one subfolder per class, or with such folders in train, validation and test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.data.fingerprint import file_hash
from harness.errors import DataError

_PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
# Left behind by file managers in every folder they touch.
_IGNORED = {"Thumbs.db", "desktop.ini"}


def _ignored(path: Path) -> bool:
    return path.name.startswith(".") or path.name in _IGNORED


def folder_identity(folder: Path) -> dict[str, Any]:
    """One hash over every file's path and content."""
    digest, count = hashlib.sha256(), 0
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file() and not _ignored(entry)):
        digest.update(f"{path.relative_to(folder).as_posix()}|{file_hash(path)['sha256']}|".encode())
        count += 1
    return {"sha256": digest.hexdigest(), "files": count}


def _folders(place: Path) -> list[Path]:
    return sorted(entry for entry in place.iterdir() if entry.is_dir() and not _ignored(entry))


def split_folders(folder: Path) -> dict[str, Path]:
    """The folder itself, or its train, validation and test folders if all its subfolders are such."""
    inside = _folders(folder)
    if (
        inside
        and any(entry.name == "train" for entry in inside)
        and all(entry.name in _PARTS for entry in inside)
    ):
        return {_PARTS[entry.name]: entry for entry in inside}
    return {"train": folder}


def class_folders(folders: Iterable[Path], kind: str) -> list[str]:
    """The names of the subfolders of all splits, in order. Raises DataError for fewer than two."""
    places = list(folders)
    classes = sorted({entry.name for place in places for entry in _folders(place)})
    if len(classes) < 2:
        raise DataError(
            f"{places[0]} has {len(classes)} class folders.",
            where=kind,
            hint="Expected one subfolder per class.",
        )
    return classes


def listed(place: Path) -> list[Path]:
    """The files of a class in the order of their names; none where a split lacks the class."""
    return sorted(entry for entry in place.iterdir() if not _ignored(entry)) if place.is_dir() else []
