"""The arrays of one dataset, split and prepared: what plans index and backends put on the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.data.vocabularies import Vocabulary


@dataclass(frozen=True)
class Arrays:
    """One split. Every array has the examples along axis 0, images channels last.

    x, y: inputs and targets by name ("x" and "y" where there is one without a name).
    sample_weight: [n] or None.
    """

    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]
    sample_weight: np.ndarray | None = None

    @property
    def examples(self) -> int:
        """The number of examples."""
        return len(next(iter(self.x.values()))) if self.x else 0

    def take(self, indices: np.ndarray | slice) -> Arrays:
        """The examples at `indices`, in that order."""
        return Arrays(
            {name: array[indices] for name, array in self.x.items()},
            {name: array[indices] for name, array in self.y.items()},
            None if self.sample_weight is None else self.sample_weight[indices],
        )

    def named(self) -> list[tuple[str, np.ndarray]]:
        """Every array with its path ("x/image"), in a stable order."""
        arrays = [(f"x/{name}", self.x[name]) for name in sorted(self.x)]
        arrays += [(f"y/{name}", self.y[name]) for name in sorted(self.y)]
        if self.sample_weight is not None:
            arrays.append(("sample_weight", self.sample_weight))
        return arrays


@dataclass(frozen=True)
class Dataset:
    """The splits of one dataset. classes: the number of classes, or None where the target is a quantity.

    fingerprint: sha256 over every array (harness/data/fingerprint.py).
    notes: what was done to the data that a reader of the results should know, in plain sentences.
    vocabularies: what the numbers of an input or target stand for, by its name, where that is known.
    """

    name: str
    train: Arrays
    validation: Arrays | None
    test: Arrays | None
    fingerprint: str
    classes: int | None
    notes: tuple[str, ...] = ()
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)

    @property
    def splits(self) -> dict[str, Arrays]:
        """The splits that there are, by name: train, then validation and test."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def examples(self) -> dict[str, int]:
        """The number of examples of each split."""
        return {name: part.examples for name, part in self.splits.items()}


@dataclass
class Raw:
    """What a source hands over, before splitting: the examples as they lie in the files.

    train holds everything where the source has no split of its own. target values may still be text.
    classes: the number of classes if the source knows it. features: the columns of "x", for messages.
    name: what to call it, where the source's own name is not it. vocabularies: as in Dataset.
    ordered: whether the examples follow each other (in time, in a text), so that they are not split at random.
    rate: samples per second of sounds. base: the folder that the steps' paths start at.
    """

    train: Arrays
    validation: Arrays | None = None
    test: Arrays | None = None
    classes: int | None = None
    features: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    name: str | None = None
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    ordered: bool = False
    rate: int | None = None
    base: Path | None = None

    def parts(self) -> dict[str, Arrays]:
        """The splits that the source brought, by name."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}

    def change(self, name: str, part: Arrays | None) -> None:
        """Puts another split in the place of `name`."""
        setattr(self, name, part)
