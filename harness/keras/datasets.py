"""keras.datasets: (x_train, y_train), (x_test, y_test) as Keras's loaders give them, read by harness/data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.keras.refusals import namespace

if TYPE_CHECKING:
    import numpy as np

    Pair = tuple[np.ndarray, np.ndarray]


class Published:
    """A published set of images: x uint8 [n, height, width(, channels)], y uint8 [n] (CIFAR-10: [n, 1])."""

    def __init__(self, name: str, label_shape: tuple[int, ...] = ()) -> None:
        self.name, self.label_shape = name, label_shape

    def load_data(self, path: str | None = None) -> tuple[Pair, Pair]:
        """Reads it from where it lies (Debian's package, Keras's cache), or downloads it into Keras's cache.

        path: ignored; Keras's name of the file in the cache. Raises DataError where it cannot be had.
        """
        from harness.data import sources
        from harness.spec.dataset import DatasetSpec

        raw = sources.read(DatasetSpec.parse(self.name), None)
        assert raw.test is not None
        first, second = (
            (part.x["x"], part.y["y"].astype("uint8").reshape(-1, *self.label_shape)) for part in (raw.train, raw.test)
        )
        return first, second

    def __repr__(self) -> str:
        return f"<keras.datasets.{self.name}>"


_GIVEN = {
    "cifar10": Published("cifar10", (1,)), "fashion_mnist": Published("fashion_mnist"), "mnist": Published("mnist"),
}

__getattr__, __dir__ = namespace(
    "keras.datasets", _GIVEN, ("boston_housing", "california_housing", "cifar100", "imdb", "reuters"),
    hint="Load the arrays yourself; an experiment (harness run) reads imdb, padded, as `data: imdb`.",
)
