"""Seeded changes of the training images, made once on the host, so that both frameworks see the same pixels.

Legend: N examples, H height, W width; a channel axis may follow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.data.dataset import Arrays
from harness.errors import DataError
from harness.spec import preparation as spec

Change = Callable[[np.ndarray], np.ndarray]


def augment(train: Arrays, augmentation: spec.Augmentation) -> Arrays:
    """The originals, then `copies` changed copies of all of them, with their targets and weights.

    The numbers depend on the seed, the copy and the place of the step alone. All image inputs of an example
    are changed alike.
    """
    if not augmentation.steps:
        return train
    for step in augmentation.steps:
        _require_suitable(step, train)
    copies = [dict(train.x) for _ in range(augmentation.copies)]
    for number, x in enumerate(copies):
        for place, step in enumerate(augmentation.steps):
            for name in x:
                # A fresh generator per input: the same draws for each of them.
                random = np.random.default_rng([augmentation.seed, number, place])
                if _suits(step, x[name]):
                    x[name] = CHANGES[type(step)](step, train.examples, random)(x[name])
    times = augmentation.copies + 1
    return Arrays(
        {name: np.concatenate([array, *(x[name] for x in copies)]) for name, array in train.x.items()},
        {name: np.concatenate([array] * times) for name, array in train.y.items()},
        None if train.sample_weight is None else np.tile(train.sample_weight, times),
    )


def _suits(step: spec.Augmenter, array: np.ndarray) -> bool:
    """Noise is for numbers and pixels, not for indices; all else for images (rank 3 and more)."""
    if isinstance(step, spec.Noise):
        return array.dtype.kind == "f" or array.dtype == np.uint8
    return array.ndim >= 3


def _require_suitable(step: spec.Augmenter, train: Arrays) -> None:
    name = step.canonical_name()
    if not any(_suits(step, array) for array in train.x.values()):
        found = ", ".join(f"{array.dtype} {array.shape[1:]}" for array in train.x.values())
        needed = "numbers" if isinstance(step, spec.Noise) else "images ([height, width], or with channels)"
        raise DataError(
            f"{name} needs {needed}, got examples of {found}.", where="data: augment", hint="Leave it out."
        )
    if not isinstance(step, spec.Noise) and any(array.ndim >= 3 for array in train.y.values()):
        raise DataError(
            f"{name} would change images whose targets are images too.",
            where="data: augment",
            hint="Augment such pairs beforehand.",
        )


def flip(step: spec.Flip, n: int, random: np.random.Generator) -> Change:
    chosen = {
        axis: random.random(n) < step.probability
        for axis, directions in ((1, ("vertical", "both")), (2, ("horizontal", "both")))
        if step.direction in directions
    }

    def change(x_NHW: np.ndarray) -> np.ndarray:
        x_NHW = x_NHW.copy()
        for axis, which in chosen.items():
            x_NHW[which] = np.flip(x_NHW[which], axis=axis)
        return x_NHW

    return change


def shift(step: spec.Shift, n: int, random: np.random.Generator) -> Change:
    draws = random.random((2, n))

    def offsets(most: float, size: int, draw: np.ndarray) -> np.ndarray:
        """[N] whole pixels, uniform in -most..most."""
        pixels = most if isinstance(most, int) else int(most * size + 0.5)
        moves: np.ndarray = np.floor(draw * (2 * pixels + 1)).astype(np.int64)
        return moves - pixels

    def change(x_NHW: np.ndarray) -> np.ndarray:
        height, width = x_NHW.shape[1:3]
        rows = np.arange(height) - offsets(step.height, height, draws[0])[:, None]
        columns = np.arange(width) - offsets(step.width, width, draws[1])[:, None]
        moved = _gather(x_NHW, _inside(rows, height, step.fill), _inside(columns, width, step.fill))
        if step.fill == "constant":
            moved[_outside(rows, height)[:, :, None] | _outside(columns, width)[:, None, :]] = 0
        return moved

    return change


def crop(step: spec.Crop, n: int, random: np.random.Generator) -> Change:
    draws = random.random((2, n))

    def window(size: int, draw: np.ndarray) -> np.ndarray:
        """[N, size] the pixel that each pixel is taken from: nearest, half-pixel centres."""
        kept = max(1, int(size * step.share + 0.5))
        start: np.ndarray = np.floor(draw * (size - kept + 1)).astype(np.int64)
        return start[:, None] + np.floor((np.arange(size) + 0.5) * kept / size).astype(np.int64)

    return lambda x_NHW: _gather(x_NHW, window(x_NHW.shape[1], draws[0]), window(x_NHW.shape[2], draws[1]))


def noise(step: spec.Noise, n: int, random: np.random.Generator) -> Change:
    def change(x: np.ndarray) -> np.ndarray:
        if x.dtype == np.float64:
            return x + step.stddev * random.standard_normal(x.shape)
        return x.astype(np.float32) + np.float32(step.stddev) * random.standard_normal(
            x.shape, dtype=np.float32
        )

    return change


def _inside(indices: np.ndarray, size: int, fill: str) -> np.ndarray:
    return indices % size if fill == "wrap" else np.clip(indices, 0, size - 1)


def _outside(indices: np.ndarray, size: int) -> np.ndarray:
    mask: np.ndarray = (indices < 0) | (indices >= size)
    return mask


def _gather(x_NHW: np.ndarray, rows_NH: np.ndarray, columns_NW: np.ndarray) -> np.ndarray:
    taken_NHW: np.ndarray = x_NHW[
        np.arange(len(x_NHW))[:, None, None], rows_NH[:, :, None], columns_NW[:, None, :]
    ]
    return taken_NHW


CHANGES: dict[type[spec.Augmenter], Callable[..., Change]] = {
    spec.Flip: flip,
    spec.Shift: shift,
    spec.Crop: crop,
    spec.Noise: noise,
}
