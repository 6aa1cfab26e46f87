"""Who is in which split: seeded, stratified where there are classes, and the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.errors import DataError
from harness.spec.dataset import Limit, Split


def divide(raw: Raw, split: Split, limit: Limit, classes: Mapping[str, int]) -> None:
    """Splits raw.train into what the source does not bring along, and cuts each part to its limit, in place.

    classes: the number of classes of each target that has some. Raises DataError if a part would be empty.
    """
    if raw.test is not None and split.test == 0:
        raw.test = None
        raw.notes.append("The source's own test set is left out.")
    elif raw.test is not None:
        raw.notes.append(f"The test set is the source's own ({raw.test.examples} examples).")
    n = raw.train.examples
    sizes = {} if raw.test is not None else {"test": _size(split.test, n, "test")}
    if raw.validation is None and split.validation != "test":
        sizes["validation"] = _size(split.validation, n, "validation")
    sizes = {part: size for part, size in sizes.items() if size}
    if sum(sizes.values()) >= n:
        raise DataError(
            f"{' and '.join(f'{size} for {part}' for part, size in sizes.items())} leave no example "
            f"of {n} to train on.",
            where="data: split",
            hint="Ask for less.",
        )
    contiguous = raw.ordered if split.contiguous == "auto" else split.contiguous
    if contiguous and sizes:
        _divide_in_order(raw, sizes, split)
    elif sizes:
        labels = _strata(raw, split.stratify, classes, len(sizes) + 1)
        everything = raw.train
        for part, indices in partition(n, sizes, split.seed, labels).items():
            raw.change(part, everything.take(indices))
    _cut(raw, split, limit, classes, contiguous)


def _divide_in_order(raw: Raw, sizes: Mapping[str, int], split: Split) -> None:
    """Train, validation, test, one after the other as the source has them."""
    if split.stratify is True:
        raise DataError("a split in the source's order cannot be stratified.", where="data: split",
                        hint="Write `stratify: auto`, or `contiguous: false`.")
    everything, end = raw.train, raw.train.examples
    for part in ("test", "validation"):
        if part in sizes:
            raw.change(part, everything.take(slice(end - sizes[part], end)))
            end -= sizes[part]
    raw.train = everything.take(slice(0, end))
    raw.notes.append("The parts follow each other in the source's order: train, validation, test.")


def watch_test(raw: Raw) -> None:
    """Makes the test set the validation set too. The last thing to do: prepared once, used twice."""
    if raw.test is None:
        raise DataError(
            "there is no test set to validate on.", where="data: split: validation", hint="Give split.test."
        )
    raw.validation = raw.test
    raw.notes.append("The validation set is the test set: what is chosen by it is not a test result.")


def _size(share: float, n: int, part: str) -> int:
    """A fraction of n, rounded half up, or the number itself."""
    if isinstance(share, int):
        return share
    size = int(n * share + 0.5)
    if share > 0 and size == 0:
        raise DataError(
            f"{share} of {n} examples is none for {part}.", where="data: split", hint="Ask for more, or 0."
        )
    return size


def _strata(raw: Raw, stratify: str | bool, classes: Mapping[str, int], parts: int) -> np.ndarray | None:
    """The labels to stratify by, or None."""
    labels = next((raw.train.y[name] for name in classes if raw.train.y[name].ndim == 1), None)
    if stratify is False or (stratify == "auto" and labels is None):
        return None
    if labels is None:
        raise DataError(
            "there are no classes to stratify by.",
            where="data: split: stratify",
            hint="Write `stratify: auto`.",
        )
    if stratify == "auto" and np.bincount(labels).min(initial=parts, where=np.bincount(labels) > 0) < parts:
        raw.notes.append(f"The split is not stratified: a class has fewer than {parts} examples.")
        return None
    return labels


def partition(
    n: int, sizes: Mapping[str, int], seed: int, labels: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Indices of each part and of "train" (the rest): disjoint, together range(n), in the source's order.

    sizes: examples of each part, together at most n. labels: [n] integers; each part then has each class in
    proportion, exact to one example (largest remainders).
    """
    order = np.argsort(np.random.default_rng(seed).random(n), kind="stable")
    strata = [order] if labels is None else [order[labels[order] == label] for label in np.unique(labels)]
    parts: dict[str, np.ndarray] = {}
    for part, size in sizes.items():
        counts = _proportional(size, [len(stratum) for stratum in strata])
        chosen = [stratum[:count] for stratum, count in zip(strata, counts, strict=True)]
        strata = [stratum[count:] for stratum, count in zip(strata, counts, strict=True)]
        parts[part] = np.sort(np.concatenate(chosen))
    return {"train": np.sort(np.concatenate(strata)), **parts}


def _proportional(size: int, available: list[int]) -> list[int]:
    """`size` shared out in proportion to `available`, in whole numbers that sum to it."""
    total = sum(available)
    # Integers throughout: quotas are size * count / total, with remainders in units of 1 / total.
    counts = [size * count // total for count in available]
    remainders = [size * count % total for count in available]
    by_remainder = sorted(range(len(available)), key=lambda stratum: -remainders[stratum])
    for stratum in by_remainder[: size - sum(counts)]:
        counts[stratum] += 1
    return counts


def drawn(size: int, seed: int, n: int, labels: np.ndarray | None = None, least: int = 0) -> np.ndarray:
    """Indices of `size` of n examples, in order: seeded, in the classes' proportions where there are labels [n].

    least: so many of each class first, as far as there are and fit.
    """
    if labels is None or not least:
        return partition(n, {"chosen": size}, seed, labels)["chosen"]
    order = np.argsort(np.random.default_rng([seed, 1]).random(n), kind="stable")
    first = np.concatenate([order[labels[order] == label][:least] for label in np.unique(labels)])[:size]
    rest = np.setdiff1d(np.arange(n), first)
    more = partition(len(rest), {"chosen": size - len(first)}, seed, labels[rest])["chosen"]
    return np.sort(np.concatenate([first, rest[more]]))


def _cut(raw: Raw, split: Split, limit: Limit, classes: Mapping[str, int], contiguous: bool) -> None:
    for part, arrays in raw.parts().items():
        most = getattr(limit, part)
        if most is not None and most < arrays.examples:
            labels = next((arrays.y[name] for name in classes if arrays.y[name].ndim == 1), None)
            chosen = np.arange(most) if contiguous else drawn(most, split.seed, arrays.examples, labels)
            raw.notes.append(f"{part}: {most} of {arrays.examples} examples.")
            raw.change(part, arrays.take(chosen))


def last_part(arrays: Arrays, validation_split: float) -> tuple[Arrays, Arrays]:
    """Keras's validation_split: the first floor(n * (1 - f)) examples to train on, the rest to validate on.

    Source: keras/src/trainers/data_adapters/array_slicing.py, train_validation_split.
    """
    n = arrays.examples
    first = int(np.floor(n * (1.0 - validation_split)))
    if not 0 < first < n:
        raise DataError(
            f"validation_split={validation_split} of {n} examples leaves a part empty.",
            hint="Give more examples.",
        )
    return arrays.take(slice(0, first)), arrays.take(slice(first, n))
