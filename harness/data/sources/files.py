"""Finding the user's files, and refusing what should not be read."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from harness.errors import DataError, did_you_mean

PACKAGE = "package:"


def find(path: str, base: Path | None, kind: str, folder: bool = False) -> Path:
    """The absolute path of a file (or folder) that a spec names.

    A relative path starts at `base` (the folder of the file that names it; the current folder where None) and
    may not leave it: a spec that somebody else wrote cannot reach beyond its own folder unless it says an
    absolute path, which everyone can see. `package:NAME/path` starts at the folder of an installed Python package.
    Raises DataError if it leaves the folder or does not exist.
    """
    if path.startswith(PACKAGE):
        name, _, path = path.removeprefix(PACKAGE).partition("/")
        base, path = _package_folder(name, kind), path or "."
    start = Path(os.path.abspath(base or Path.cwd()))
    given = Path(path).expanduser()
    place = Path(os.path.normpath(given if given.is_absolute() else start / given))
    if not given.is_absolute() and not place.is_relative_to(start):
        raise DataError(
            f"the path {path!r} leads outside the folder {start}.",
            where=kind,
            hint="Move the data into it, or write the absolute path.",
        )
    if "\0" in path or not place.exists():
        raise DataError(
            f"there is no {'folder' if folder else 'file'} {place}.", where=kind, hint=_nearest(place)
        )
    if folder != place.is_dir():
        expected, got = ("a folder", "a file") if folder else ("a file", "a folder")
        raise DataError(
            f"expected {expected}, got {got}: {place}.", where=kind, hint=f"Give the path of {expected}."
        )
    return place


def _package_folder(name: str, kind: str) -> Path:
    """Where an installed package lies; found without running its code."""
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        return Path(place)
    raise DataError(f"there is no Python package {name!r} with files of its own.", where=kind,
                    hint=f"Install it: pip install {name.replace('_', '-')}.")


def _nearest(place: Path) -> str:
    """A file beside it with nearly the same name, or a plain instruction."""
    if place.parent.is_dir():
        hint = did_you_mean(place.name, sorted(entry.name for entry in place.parent.iterdir())[:10000])
        if hint.startswith("Did you mean"):
            return hint
    return "Check the path; relative paths start at the folder of the file that names them."
