"""Image folders: one subfolder per class, read with Pillow."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.files import find
from harness.errors import DataError
from harness.spec import sources as spec

_PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
# Left behind by file managers in every folder they touch.
_IGNORED = {"Thumbs.db", "desktop.ini"}


def read(source: spec.Source, base: Path | None) -> Raw:
    """x [n, height, width, 3] (or 1) uint8, y [n] int64: the subfolders in the order of their names."""
    assert isinstance(source, spec.Images)
    folder = find(source.images, base, "images", folder=True)
    folders = _parts(folder)
    classes = sorted({entry.name for part in folders.values() for entry in _folders(part)})
    if len(classes) < 2:
        raise DataError(
            f"{folder} has {len(classes)} class folders.",
            where="images",
            hint="Expected one subfolder per class.",
        )
    size = source.size
    parts = {}
    for part, place in folders.items():
        parts[part], size = _read_part(place, classes, source, size)
    raw = Raw(parts["train"], parts.get("validation"), parts.get("test"), classes=len(classes))
    raw.notes.append(
        "Classes by folder: " + ", ".join(f"{i} = {name}" for i, name in enumerate(classes)) + "."
    )
    return raw


def identity(source: spec.Source, base: Path | None) -> dict[str, Any]:
    """One hash over every file's path and content."""
    assert isinstance(source, spec.Images)
    folder = find(source.images, base, "images", folder=True)
    digest, count = hashlib.sha256(), 0
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file() and not _ignored(entry)):
        digest.update(f"{path.relative_to(folder).as_posix()}|{file_hash(path)['sha256']}|".encode())
        count += 1
    return {"sha256": digest.hexdigest(), "files": count}


def _ignored(path: Path) -> bool:
    return path.name.startswith(".") or path.name in _IGNORED


def _folders(place: Path) -> list[Path]:
    return sorted(entry for entry in place.iterdir() if entry.is_dir() and not _ignored(entry))


def _parts(folder: Path) -> dict[str, Path]:
    """The folder itself, or its train, validation and test folders if all its subfolders are such."""
    inside = _folders(folder)
    if (
        inside
        and any(entry.name == "train" for entry in inside)
        and all(entry.name in _PARTS for entry in inside)
    ):
        return {_PARTS[entry.name]: entry for entry in inside}
    return {"train": folder}


def _read_part(
    place: Path, classes: list[str], source: spec.Images, size: tuple[int, int] | None
) -> tuple[Arrays, tuple[int, int] | None]:
    files = [(path, label) for label, name in enumerate(classes) for path in _files(place / name)]
    if not files:
        raise DataError(
            f"{place} has no image.", where="images", hint="Expected one subfolder of images per class."
        )
    images = []
    for path, _ in files:
        image = _read_image(path, source)
        size = size or image.shape[:2]
        if image.shape[:2] != tuple(size):
            raise DataError(
                f"{path} is {image.shape[0]} x {image.shape[1]}, those before it are {size[0]} x {size[1]}.",
                where="images",
                hint="Give `size: [height, width]`; images are resized to it.",
            )
        images.append(image)
    labels = np.array([label for _, label in files], np.int64)
    return Arrays({"x": np.stack(images)}, {"y": labels}), size


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(entry for entry in place.iterdir() if not _ignored(entry))


def _read_image(path: Path, source: spec.Images) -> np.ndarray:
    """[height, width, channels] uint8. Raises DataError if it is no image."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            image: Image.Image = opened.convert("RGB" if source.color == "rgb" else "L")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "it is a folder" if path.is_dir() else type(error).__name__
        raise DataError(
            f"{path} cannot be read as an image ({reason}).",
            where="images",
            hint="Move it out of the class folder.",
        ) from None
    if source.size is not None and image.size != source.size[::-1]:
        image = image.resize(source.size[::-1], Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array if array.ndim == 3 else array[:, :, None]
