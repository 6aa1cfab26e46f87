"""Image folders, read with Pillow: one subfolder per class, or images with the class of every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.sources.files import find
from harness.data.sources.folders import class_folders, folder_identity, listed, split_folders
from harness.data.vocabularies import Vocabulary
from harness.errors import DataError
from harness.spec import sources as spec

Size = tuple[int, int]


def read(source: spec.Source, base: Path | None) -> Raw:
    """x [n, height, width, 3] (or 1) uint8; y int64 [n], the subfolders in the order of their names, or with masks
    [n, height, width]."""
    assert isinstance(source, spec.Images)
    folder = find(source.images, base, "images", folder=True)
    if source.masks is not None:
        return _with_masks(folder, find(source.masks, base, "masks", folder=True), source)
    folders = split_folders(folder)
    classes = class_folders(folders.values(), "images")
    size: Size | None = source.size
    parts = {}
    for part, place in folders.items():
        parts[part], size = _read_part(place, classes, source, size)
    raw = Raw(parts["train"], parts.get("validation"), parts.get("test"), classes=len(classes))
    raw.vocabularies["y"] = Vocabulary(tuple(classes))
    raw.notes.append(
        "Classes by folder: " + ", ".join(f"{i} = {name}" for i, name in enumerate(classes)) + "."
    )
    return raw


def identity(source: spec.Source, base: Path | None) -> dict[str, Any]:
    """One hash over every file's path and content."""
    assert isinstance(source, spec.Images)
    known = folder_identity(find(source.images, base, "images", folder=True))
    if source.masks is not None:
        known["masks"] = folder_identity(find(source.masks, base, "masks", folder=True))
    return known


def _with_masks(images: Path, masks: Path, source: spec.Images) -> Raw:
    """Both folders have the same splits, or both none."""
    folders, beside = split_folders(images), split_folders(masks)
    if set(folders) != set(beside):
        raise DataError(f"{images} and {masks} have different splits: {', '.join(folders)} and {', '.join(beside)}.",
                        where="images", hint="Give both the same folders (train, validation, test), or neither.")
    size: Size | None = source.size
    parts = {}
    for part, place in folders.items():
        by_name = {path.stem: path for path in listed(beside[part])}
        files = [path for path in listed(place) if path.is_file()]
        alone = sorted({path.stem for path in files} ^ set(by_name))
        if alone or not files:
            raise DataError(f"{place} and {beside[part]} do not hold the same names: {alone[0]!r} is in one of them."
                            if alone else f"{place} has no image.", where="images",
                            hint="Each image needs a mask of the same name; the ending may differ.")
        x = []
        for path in files:
            image, size = _of_size(path, source, size)
            x.append(image)
        assert size is not None
        y = np.stack([_read_mask(by_name[path.stem], path, size, source.size is not None) for path in files])
        parts[part] = Arrays({"x": np.stack(x)}, {"y": y})
    return Raw(parts["train"], parts.get("validation"), parts.get("test"))


def _read_mask(path: Path, image: Path, size: Size, resize: bool) -> np.ndarray:
    """int64 [height, width]: the values of a palette or a grey image, resized by the nearest pixel."""
    mask = _opened(path, None)
    if mask.mode not in ("P", "L", "1", "I", "I;16"):
        raise DataError(f"{path} is a picture in colours ({mask.mode}), expected the class of every pixel.",
                        where="masks", hint="Save masks as grey or palette PNG files.")
    if mask.size != size[::-1]:
        if not resize:
            raise DataError(f"{path} is {mask.size[1]} x {mask.size[0]}, {image.name} is {size[0]} x {size[1]}.",
                            where="masks", hint="A mask has the size of its image.")
        from PIL import Image

        mask = mask.resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(mask).astype(np.int64)


def _read_part(
    place: Path, classes: list[str], source: spec.Images, size: Size | None
) -> tuple[Arrays, Size | None]:
    files = [(path, label) for label, name in enumerate(classes) for path in listed(place / name)]
    if not files:
        raise DataError(
            f"{place} has no image.", where="images", hint="Expected one subfolder of images per class."
        )
    images = []
    for path, _ in files:
        image, size = _of_size(path, source, size)
        images.append(image)
    labels = np.array([label for _, label in files], np.int64)
    return Arrays({"x": np.stack(images)}, {"y": labels}), size


def _of_size(path: Path, source: spec.Images, size: Size | None) -> tuple[np.ndarray, Size]:
    """The image and its size. Raises DataError if those before it have another."""
    image = _read_image(path, source)
    height, width = image.shape[:2]
    if size is not None and (height, width) != tuple(size):
        raise DataError(
            f"{path} is {height} x {width}, those before it are {size[0]} x {size[1]}.",
            where="images",
            hint="Give `size: [height, width]`; images are resized to it.",
        )
    return image, (height, width)


def _read_image(path: Path, source: spec.Images) -> np.ndarray:
    """[height, width, channels] uint8. Raises DataError if it is no image."""
    from PIL import Image

    image = _opened(path, "RGB" if source.color == "rgb" else "L")
    if source.size is not None and image.size != source.size[::-1]:
        image = image.resize(source.size[::-1], Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array if array.ndim == 3 else array[:, :, None]


def _opened(path: Path, mode: Literal["RGB", "L"] | None) -> Any:
    """A PIL image in memory, in that mode."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return opened.copy() if mode is None else opened.convert(mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "it is a folder" if path.is_dir() else type(error).__name__
        raise DataError(
            f"{path} cannot be read as an image ({reason}).",
            where="images",
            hint="Move it out of the class folder.",
        ) from None
