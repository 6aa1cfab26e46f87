"""Targets: which are classes and which are quantities, text to numbers, and labels that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.vocabularies import Vocabulary
from harness.errors import DataError
from harness.spec.dataset import DatasetSpec

_QUANTITY = "If the target is a quantity and not a class, write `classes: none`."


def settle_targets(raw: Raw, spec: DatasetSpec) -> dict[str, int]:
    """Labels to int64 0..k-1, quantities to floats, in every part; returns k for each target with classes.

    Text becomes its rank among the sorted values of the whole source. Raises DataError for missing targets
    and labels out of range.
    """
    classes: dict[str, int] = {}
    for name in raw.train.y:
        parts, known = _numbers(
            name, {part: arrays.y[name] for part, arrays in raw.parts().items()}, spec, raw
        )
        if spec.classes == "none" or not all(array.dtype.kind in "iu" for array in parts.values()):
            parts = {part: _quantity(array) for part, array in parts.items()}
        else:
            declared = spec.classes if isinstance(spec.classes, int) else raw.classes or known
            classes[name] = declared or max(2, 1 + max(int(array.max()) for array in parts.values()))
            parts = {part: _labels(array) for part, array in parts.items()}
            for part, array in parts.items():
                check_labels(array, classes[name], where=f"data: target {name!r}, {part}")
            _check_count(parts["train"], classes[name], name)
        for part, array in parts.items():
            raw.parts()[part].y[name] = array
    return classes


def _numbers(
    name: str, parts: dict[str, np.ndarray], spec: DatasetSpec, raw: Raw
) -> tuple[dict[str, np.ndarray], int | None]:
    """The target as numbers in every part, and the number of classes if its values tell it."""
    where = f"data: target {name!r}"
    count = sum(int(_missing(array).sum()) for array in parts.values())
    if count:
        hint = "Leave them out with `prepare: [{clean: {missing: drop}}]`."
        raise DataError(f"{count} values are missing or infinite.", where=where, hint=hint)
    # Whole numbers with gaps arrive as objects; without the gaps they are whole numbers again.
    parts = {
        part: np.array(array.tolist()) if array.dtype.kind == "O" else array for part, array in parts.items()
    }
    kinds = {array.dtype.kind for array in parts.values()}
    if kinds & set("OSU"):
        return _ranked(name, parts, spec, raw)
    if kinds == {"b"}:
        return {part: array.astype(np.int64) for part, array in parts.items()}, 2
    if not kinds <= set("iufb"):
        found = ", ".join(sorted(str(array.dtype) for array in parts.values()))
        raise DataError(
            f"cannot learn values of type {found}.", where=where, hint="Expected numbers or text."
        )
    if isinstance(spec.classes, int):
        if not all((array % 1 == 0).all() for array in parts.values()):
            raise DataError("some labels are no whole numbers.", where=where, hint=_QUANTITY)
        return {part: array.astype(np.int64) for part, array in parts.items()}, spec.classes
    return parts, None


def _ranked(
    name: str, parts: Mapping[str, np.ndarray], spec: DatasetSpec, raw: Raw
) -> tuple[dict[str, np.ndarray], int | None]:
    """Text to its rank among the sorted values of all parts."""
    values = sorted({str(value) for array in parts.values() for value in array.ravel()})
    if spec.classes == "none":
        raise DataError(
            f"text ({values[0]!r}) is no quantity.",
            where=f"data: target {name!r}",
            hint="Leave out `classes: none`.",
        )
    shown = ", ".join(f"{index} = {value}" for index, value in enumerate(values[:20]))
    raw.notes.append(f"Labels of {name}: {shown}{', ...' if len(values) > 20 else ''}.")
    raw.vocabularies.setdefault(name, Vocabulary(tuple(values)))
    rank = {value: index for index, value in enumerate(values)}
    return {part: _ranks(array, rank) for part, array in parts.items()}, max(2, len(values))


def _check_count(train: np.ndarray, classes: int, name: str) -> None:
    """More classes than examples: refused before anything is counted class by class."""
    if classes > train.size:
        raise DataError(
            f"{classes} classes (labels up to {classes - 1}) for {train.size} examples: some are missing "
            "from the train split.",
            where=f"data: target {name!r}",
            hint=_QUANTITY,
        )


def _missing(array: np.ndarray) -> np.ndarray:
    """Which values are missing: None in text, NaN and infinity in numbers. Same shape as the array."""
    if array.dtype.kind == "O":
        return np.array([value is None for value in array.ravel()], bool).reshape(array.shape)
    return ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)


def _ranks(array: np.ndarray, rank: Mapping[str, int]) -> np.ndarray:
    return np.array([rank[str(value)] for value in array.ravel()], np.int64).reshape(array.shape)


def _labels(array: np.ndarray) -> np.ndarray:
    """int64; a column [n, 1] becomes [n]."""
    return np.ascontiguousarray(
        array.reshape(len(array)) if array.shape[1:] == (1,) else array, dtype=np.int64
    )


def _quantity(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def check_labels(labels: np.ndarray, classes: int, where: str = "labels") -> None:
    """Raises DataError if a label is outside 0..classes-1 and names the first one."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"labels out of range: {labels.ravel()[first]} in example {first // max(1, labels[0].size)} "
            f"({len(wrong)} in all); expected 0..{classes - 1}.",
            where=where,
            hint=_QUANTITY
            if where.startswith("data")
            else "Check the labels, or give the model more outputs.",
        )


def check_classes(train: Arrays, classes: Mapping[str, int], padding: Mapping[str, int | None]) -> None:
    """Raises DataError if a class, other than the padding's of that target, has no example in the train split."""
    for name, count in classes.items():
        absent = np.setdiff1d(np.arange(count), train.y[name])
        absent = absent[absent != padding.get(name)]
        if len(absent):
            shown = ", ".join(str(label) for label in absent[:10]) + (", ..." if len(absent) > 10 else "")
            raise DataError(
                f"{len(absent)} of {count} classes are missing from the train split: {shown}.",
                where=f"data: target {name!r}",
                hint=f"Give it more examples, or write the true number of `classes`. {_QUANTITY}",
            )


def missing_examples(raw_part: Arrays, names: tuple[str, ...] | None) -> Any:
    """[n] bool: the examples with a missing value in an input, target or weight (of `names`, if given)."""
    lost = np.zeros(raw_part.examples, bool)
    for path, array in raw_part.named():
        if names is None or path.split("/")[-1] in names:
            lost |= _missing(array).reshape(len(array), -1).any(axis=1)
    return lost
