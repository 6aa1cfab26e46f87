"""What records say of single classes and examples: confusion, precision, recall, F1, and where two runs disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.analysis.settings import Setting
from harness.records.inspection import Inspection
from harness.records.record import CorruptRecordError


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 [classes, classes]: examples by their label (row) and what was predicted (column). Both arrays: whole
    numbers below `classes`, of one size."""
    places = np.asarray(labels, np.int64).ravel() * classes + np.asarray(predicted, np.int64).ravel()
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class ClassScores:
    """float64 [classes] each; 0 where it would be 0/0, as scikit-learn's zero_division=0 has it. support: examples with
    that label; predicted: with that prediction."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    predicted: np.ndarray

    @property
    def accuracy(self) -> float:
        return float((self.recall * self.support).sum() / max(self.support.sum(), 1))

    @property
    def macro_f1(self) -> float:
        """The mean over the classes that are among the labels or the predictions."""
        seen = (self.support + self.predicted) > 0
        return float(self.f1[seen].mean()) if seen.any() else 0.0


def class_scores(matrix: np.ndarray) -> ClassScores:
    """Of a confusion matrix [classes, classes], rows by label."""
    matrix = np.asarray(matrix, np.float64)
    right, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)

    def share(of: np.ndarray) -> np.ndarray:
        return np.asarray(np.divide(right, of, out=np.zeros_like(right), where=of > 0))

    return ClassScores(share(predicted), share(support), share((support + predicted) / 2), support, predicted)


@dataclass(frozen=True)
class Disagreement:
    """One example of which two runs say different classes. index: in its split, from 0. predictions: (class, its
    probability) of each, in their order."""

    seed: int
    index: int
    label: int
    predictions: tuple[tuple[int, float], tuple[int, float]]


@dataclass(frozen=True)
class Disagreements:
    """examples: compared; count: how many differ; right: of these, how many each of the two has right; shown: those of
    which both are surest, the surest first."""

    examples: int
    count: int
    right: tuple[int, int]
    shown: tuple[Disagreement, ...]


def disagreements(one: Inspection, other: Inspection, number: int = 0, seed: int = 0, most: int = 5) -> Disagreements:
    """Of the number-th output with classes, over the examples that both records keep."""
    labels = one.array("label", number)
    predicted = [item.array("predicted", number) for item in (one, other)]
    size = min(len(labels), *map(len, predicted))
    labels, (mine, theirs) = labels[:size], (array[:size] for array in predicted)
    sure = [item.array("probability", number)[:size].astype(np.float64) for item in (one, other)]
    apart = np.flatnonzero(mine != theirs)
    # The smaller of the two probabilities: where one run hardly knows, the two hardly disagree.
    least = np.minimum(*(item[apart] for item in sure))
    chosen = apart[np.lexsort((apart, -np.round(least, 4)))][:most]
    shown = tuple(
        Disagreement(seed, int(place), int(labels[place]), (
            (int(mine[place]), float(sure[0][place])), (int(theirs[place]), float(sure[1][place]))))
        for place in chosen)
    right = tuple(int((array[apart] == labels[apart]).sum()) for array in (mine, theirs))
    return Disagreements(size, len(apart), (right[0], right[1]), shown)


@dataclass(frozen=True, eq=False)
class ClassesOfOutput:
    """One output with classes in one setting. matrices: backend -> the sum of its seeds' confusion matrices. apart:
    seed -> where the first two backends disagree. chance: see `between_seeds`."""

    output: str
    names: tuple[str, ...]
    split: str
    elements: bool
    matrices: dict[str, np.ndarray]
    seeds: dict[str, int]
    apart: dict[int, Disagreements]
    chance: float | None


def inspections(setting: Setting, notes: list[str] | None = None) -> dict[str, dict[int, Inspection]]:
    """backend -> seed -> what was found; runs that nobody looked at are left out. What is damaged is said in notes."""
    found: dict[str, dict[int, Inspection]] = {}
    for backend in sorted(setting.done):
        for seed, record in sorted(setting.done[backend].items()):
            try:
                inspection = record.inspection
            except CorruptRecordError as error:
                if notes is not None:
                    notes.append(f"not inspected: {error}")
                continue
            if inspection is not None:
                found.setdefault(backend, {})[seed] = inspection
    return found


def classes_of(found: dict[str, dict[int, Inspection]]) -> list[ClassesOfOutput]:
    """For each output with classes that all of these inspections have, in their order."""
    every = [inspection for seeds in found.values() for inspection in seeds.values()]
    if not every:
        return []
    made = []
    for number, entry in enumerate(every[0].classes):
        count = int(entry["count"])
        if not all(item.array("confusion", number).shape == (count, count) for item in every):
            continue
        matrices = {backend: np.sum([item.array("confusion", number) for item in seeds.values()], axis=0)
                    for backend, seeds in found.items()}
        names = tuple(entry.get("names") or map(str, range(count)))
        made.append(ClassesOfOutput(
            str(entry["output"]), names, every[0].split, bool(entry.get("elements")), matrices,
            {backend: len(seeds) for backend, seeds in found.items()}, _apart(found, number),
            between_seeds(found, number)))
    return made


def _apart(found: dict[str, dict[int, Inspection]], number: int) -> dict[int, Disagreements]:
    backends: Sequence[str] = sorted(found)
    if len(backends) < 2:
        return {}
    one, other = (found[backend] for backend in backends[:2])
    return {seed: disagreements(one[seed], other[seed], number, seed) for seed in sorted(set(one) & set(other))
            if len(one[seed].array("predicted", number))}


def between_seeds(found: dict[str, dict[int, Inspection]], number: int = 0) -> float | None:
    """The share of examples of which two neighbouring seeds of one framework say different classes, over all pairs: how
    much is chance. None where no framework has two seeds."""
    counted = [disagreements(one, other, number, most=0) for seeds in found.values()
               for one, other in pairwise(seeds[seed] for seed in sorted(seeds))]
    examples = sum(item.examples for item in counted)
    return sum(item.count for item in counted) / examples if examples else None
