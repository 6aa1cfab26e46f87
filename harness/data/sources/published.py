"""The sets that keras.datasets fetches as one archive: MNIST, CIFAR-10, IMDB.

Each lies in Keras's cache folder, where Keras would have put it, or is fetched from Keras's own address and
checked against the published sha256.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.sources.archive import cache_folder, download, verified
from harness.data.sources.pickled import read_npz, unpickle
from harness.errors import DataError
from harness.spec import sources as spec


@dataclass(frozen=True)
class Archive:
    """Where a published archive lies in the cache, under which names, and where it comes from."""

    names: tuple[str, ...]
    url: str
    sha256: str


_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
ARCHIVES: dict[type[spec.Source], Archive] = {
    spec.Mnist: Archive(
        ("mnist.npz",),
        _KERAS + "mnist.npz",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),
    spec.Cifar10: Archive(
        ("cifar-10-python.tar.gz", "cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz"),
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    spec.Imdb: Archive(
        ("imdb.npz",),
        _KERAS + "imdb.npz",
        "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    ),
}


def read(source: spec.Source, base: Path | None) -> Raw:
    """mnist, cifar10: x uint8; imdb: x int32 [n, maxlen]; y int64 [n]. With the published test set."""
    try:
        path = _fetch(ARCHIVES[type(source)])
    except DataError as error:
        raise error.at(source.name) from None
    if isinstance(source, spec.Cifar10):
        return _cifar10(path)
    arrays = read_npz(path)
    splits = [(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")]
    if isinstance(source, spec.Imdb):
        splits = _shuffled([(sequences(x, source), y) for x, y in splits])
    train, test = (Arrays({"x": x}, {"y": y.astype(np.int64)}) for x, y in splits)
    return Raw(train, test=test, classes=2 if isinstance(source, spec.Imdb) else 10)


def identity(source: spec.Source, base: Path | None) -> dict[str, Any]:
    """The published hash; reading checks it."""
    return {"sha256": ARCHIVES[type(source)].sha256}


def _fetch(archive: Archive) -> Path:
    folder = cache_folder()
    for name in archive.names:
        if (folder / name).is_file():
            return verified(folder / name, archive.sha256)
    path = folder / archive.names[0]
    hint = "Fetch it on a machine with a network and put it there, or give arrays of your own: {npz: PATH}."
    return download(
        archive.url, path, archive.sha256, looked=[folder / name for name in archive.names], hint=hint
    )


def _cifar10(path: Path) -> Raw:
    """The archive's batches hold rows of 3 x 32 x 32 bytes, channels first; here channels last."""
    batches: dict[str, Any] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if "_batch" in member.name else None
            if content is not None:
                batches[member.name.rsplit("/", 1)[-1]] = unpickle(io.BytesIO(content.read()), str(path))
    splits = []
    for names in ([f"data_batch_{number}" for number in range(1, 6)], ["test_batch"]):
        rows = np.concatenate([batches[name][b"data"] for name in names])
        labels = np.concatenate([batches[name][b"labels"] for name in names]).astype(np.int64)
        images = np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        splits.append(Arrays({"x": images}, {"y": labels}))
    return Raw(splits[0], test=splits[1], classes=10)


def _shuffled(splits: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Keras's order: load_data shuffles train, then test, with one generator of seed 113."""
    random = np.random.RandomState(113)
    orders = [np.arange(len(y)) for _, y in splits]
    for order in orders:
        random.shuffle(order)
    return [(x[order], y[order]) for (x, y), order in zip(splits, orders, strict=True)]


def sequences(reviews: np.ndarray, source: spec.Imdb) -> np.ndarray:
    """[n, maxlen] int32 as keras.datasets.imdb.load_data and keras.utils.pad_sequences make them.

    Index 0 pads, 1 starts a review, 2 stands for a word outside [skip_top, num_words); words start at 4.
    """
    x = np.zeros((len(reviews), source.maxlen), np.int32)
    for row, review in enumerate(reviews):
        words = np.concatenate([[1], np.asarray(review, np.int64) + 3])
        high = source.num_words or np.iinfo(np.int32).max
        words = np.where((words >= source.skip_top) & (words < high), words, 2)[-source.maxlen :]
        x[row, source.maxlen - len(words) :] = words
    return x
