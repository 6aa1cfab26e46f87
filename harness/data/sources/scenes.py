"""Pictures composed of known ones, with the class of every pixel: segmentation whose truth is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.sources import embedded, idx
from harness.data.vocabularies import Vocabulary
from harness.errors import DataError
from harness.spec import sources
from harness.spec.signal_sources import Scenes

_LEAST = 0.1  # of the brightest grey: where an item is
_NAMES = {
    "fashion_mnist": ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
    "digits": tuple("0123456789"),
}


def read(source: Scenes, base: Path | None) -> Raw:
    """x uint8 [n, height, width, 1], y int64 [n, height, width]: 0 for the ground, 1 to 10 for the items."""
    pools = _pools(source)
    height, width = pools[0][0].shape[1:]
    if source.size[0] < height or source.size[1] < width:
        raise DataError(f"pictures of {source.size[0]} x {source.size[1]} do not hold items of {height} x {width}.",
                        where="scenes", hint="Give a larger `size`.")
    train = _composed(source, *pools[0], source.examples, 0)
    test = _composed(source, *pools[1], source.test, 1) if source.test else None
    raw = Raw(train, test=test, classes=11)
    raw.vocabularies["y"] = Vocabulary(("ground", *_NAMES[source.of]))
    share = float((train.y["y"] == 0).mean())
    raw.notes.append(f"Scenes of {source.items[0]} to {source.items[1]} items of {source.of}; {share:.0%} of the "
                     "training pixels are ground.")
    return raw


def identity(source: Scenes, base: Path | None) -> dict[str, Any]:
    if source.of == "digits":
        return {**embedded.identity(sources.Digits(), base), "scenes": 1}
    return {**idx.identity(sources.FashionMnist(), base), "scenes": 1}


def _pools(source: Scenes) -> list[tuple[np.ndarray, np.ndarray]]:
    """(items uint8 [n, height, width], labels [n]) for training, and others for the test."""
    if source.of == "fashion_mnist":
        raw = idx.read(sources.FashionMnist(), None)
        assert raw.test is not None
        return [(part.x["x"], part.y["y"]) for part in (raw.train, raw.test)]
    digits = embedded.read(sources.Digits(), None).train
    # 8 x 8 with values up to 16: three times as large, in bytes.
    items = np.minimum(digits.x["x"] * 16, 255).astype(np.uint8).repeat(3, axis=1).repeat(3, axis=2)
    first = len(items) - len(items) // 5
    return [(items[:first], digits.y["y"][:first]), (items[first:], digits.y["y"][first:])]


def _composed(source: Scenes, items: np.ndarray, labels: np.ndarray, count: int, part: int) -> Arrays:
    random = np.random.default_rng([source.seed, part])
    height, width = items.shape[1:]
    x = np.zeros((count, *source.size), np.uint8)
    y = np.zeros((count, *source.size), np.int64)
    if source.noise:
        ground = np.abs(random.standard_normal(x.shape, dtype=np.float32)) * np.float32(source.noise)
        x[:] = np.minimum(ground, 255).astype(np.uint8)
    numbers = random.integers(source.items[0], source.items[1] + 1, count)
    for scene, number in enumerate(numbers):
        for item in random.integers(0, len(items), number):
            top = random.integers(0, source.size[0] - height + 1)
            left = random.integers(0, source.size[1] - width + 1)
            place = (scene, slice(top, top + height), slice(left, left + width))
            there = items[item] > 255 * _LEAST
            x[place] = np.where(there, items[item], x[place])
            y[place] = np.where(there, 1 + labels[item], y[place])
    return Arrays({"x": x[..., None]}, {"y": y})
