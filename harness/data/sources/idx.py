"""IDX files (MNIST's own format): a folder of four of them, and Fashion-MNIST as Debian packages it."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.archive import cache_folder, download
from harness.data.sources.files import find
from harness.errors import DataError
from harness.spec import sources as spec

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

# Debian's package dataset-fashion-mnist puts it here.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
FASHION_MNIST_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# sha256 of the unpacked files: Debian, Zalando and Keras pack the same content differently.
FASHION_MNIST_SHA256 = {
    TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def read(source: spec.Source, base: Path | None) -> Raw:
    """x [n, height, width] uint8, y [n] int64; train and test as the files have them."""
    if isinstance(source, spec.Idx):
        return _read_folder(find(source.idx, base, "idx", folder=True), {}, None)
    try:
        return _read_folder(fashion_mnist_folder(), FASHION_MNIST_SHA256, 10)
    except DataError as error:
        raise error.at(source.name) from None


def identity(source: spec.Source, base: Path | None) -> dict[str, Any]:
    if isinstance(source, spec.Idx):
        folder = find(source.idx, base, "idx", folder=True)
        found = [_file(folder, name) for name in (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)]
        return {"files": [file_hash(path) for path in found if path is not None]}
    return {"sha256": FASHION_MNIST_SHA256[TRAIN_IMAGES]}


def fashion_mnist_folder() -> Path:
    """Where Fashion-MNIST lies: Debian's folder, Keras's cache, or freshly downloaded into that cache."""
    cache = cache_folder() / "fashion-mnist"
    for folder in (DEBIAN_FASHION_MNIST, cache):
        if all(_file(folder, name) for name in FASHION_MNIST_SHA256):
            return folder
    for name in FASHION_MNIST_SHA256:
        if not _file(cache, name):
            download(
                FASHION_MNIST_ORIGIN + f"{name}.gz",
                cache / f"{name}.gz",
                None,
                looked=(DEBIAN_FASHION_MNIST, cache),
                hint="Install Debian's dataset-fashion-mnist, or give a folder of IDX files: {idx: FOLDER}.",
            )
    return cache


def _file(folder: Path, name: str) -> Path | None:
    """The file of that name, packed or not; some copies write a dot before `idx`."""
    for candidate in (f"{name}.gz", name, f"{name.replace('-idx', '.idx')}.gz", name.replace("-idx", ".idx")):
        if (folder / candidate).is_file():
            return folder / candidate
    return None


def _read_folder(folder: Path, hashes: dict[str, str], classes: int | None) -> Raw:
    missing = [name for name in (TRAIN_IMAGES, TRAIN_LABELS) if not _file(folder, name)]
    if missing:
        raise DataError(
            f"no {' and no '.join(missing)} (with .gz or without) in {folder}.",
            where="idx",
            hint=f"Expected {TRAIN_IMAGES}, {TRAIN_LABELS}; for a test set {TEST_IMAGES}, {TEST_LABELS}.",
        )
    train = _pair(folder, TRAIN_IMAGES, TRAIN_LABELS, hashes)
    test = None
    if _file(folder, TEST_IMAGES) and _file(folder, TEST_LABELS):
        test = _pair(folder, TEST_IMAGES, TEST_LABELS, hashes)
    return Raw(train, test=test, classes=classes)


def _pair(folder: Path, images: str, labels: str, hashes: dict[str, str]) -> Arrays:
    x, y = (read_idx(_required(folder, name), hashes.get(name)) for name in (images, labels))
    return Arrays({"x": x}, {"y": y.astype(np.int64)})


def _required(folder: Path, name: str) -> Path:
    path = _file(folder, name)
    assert path is not None
    return path


def read_idx(path: Path, sha256: str | None = None) -> np.ndarray:
    """One IDX file of unsigned bytes, any rank: magic 0 0 8 rank, the sizes (big-endian), the values.

    Raises DataError if it is damaged, or if its content has another hash than `sha256`.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}.", where="idx", hint="Fetch the file again.") from None
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{path} is not the published file: its unpacked sha256 is not {sha256[:12]}....",
            where="idx",
            hint="Fetch the file again.",
        )
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(
            f"{path} is no IDX file of unsigned bytes.", where="idx", hint="Expected the bytes 0 0 8 first."
        )
    rank = content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4 : 4 + 4 * rank], ">u4"))
    if len(shape) != rank or len(content) != 4 + 4 * rank + int(np.prod(shape, dtype=np.int64)):
        raise DataError(
            f"{path} is cut short: its header promises shape {shape}.", where="idx", hint="Fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
