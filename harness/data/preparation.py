"""The steps of `prepare`: fitted on the train split, applied to every split.

A fit is a function of the training examples that returns a function of a few rows; the rows are computed in
float64 and written as float32 (float64 stays float64), a few thousand at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.labels import missing_examples
from harness.errors import DataError, did_you_mean
from harness.spec import preparation as spec

Change = Callable[[np.ndarray], np.ndarray]
_ROWS = 4096


def drop_missing(raw: Raw, step: spec.Clean) -> None:
    """Leaves out, in every part, the examples with a missing input, target or weight."""
    for part, arrays in raw.parts().items():
        lost = missing_examples(arrays, step.arrays)
        if lost.all():
            raise DataError(
                f"every example of {part} has a missing value.",
                where="data: prepare: clean",
                hint="Impute instead.",
            )
        if lost.any():
            raw.notes.append(
                f"{part}: {int(lost.sum())} of {len(lost)} examples left out for missing values."
            )
            raw.change(part, arrays.take(np.flatnonzero(~lost)))


def impute(raw: Raw, step: spec.Clean) -> None:
    """Puts a value, known from the train split, in place of every NaN and infinity of the inputs."""
    for name in step_arrays(raw, step, "x"):
        train = raw.train.x[name]
        if train.dtype.kind != "f":
            continue
        fill = _fill(step, name, train)
        for part, arrays in raw.parts().items():
            bad = ~np.isfinite(arrays.x[name])
            if bad.any():
                arrays.x[name] = np.where(bad, fill, arrays.x[name]).astype(train.dtype)
                what = str(step.value) if step.missing == "constant" else f"train's {step.missing}"
                raw.notes.append(
                    f"{part}: {int(bad.sum())} missing values of {name} are now {what.replace('_', ' ')}."
                )


def _fill(step: spec.Clean, name: str, train: np.ndarray) -> np.ndarray:
    """The value of every feature: shape [...] of one example."""
    if step.missing == "constant":
        return np.full(train.shape[1:], step.value)
    known = np.where(np.isfinite(train), train, np.nan).reshape(len(train), -1)
    empty = np.isnan(known).all(axis=0)
    if empty.any():
        raise DataError(
            f"feature {int(np.flatnonzero(empty)[0])} of {name!r} has no value in the train split.",
            where="data: prepare: clean",
            hint="Leave the feature out, or use `missing: constant`.",
        )
    if step.missing == "most_frequent":
        fill = np.array([_most_frequent(column[~np.isnan(column)]) for column in known.T])
    else:
        fill = np.nanmean(known, axis=0) if step.missing == "mean" else np.nanmedian(known, axis=0)
    return fill.reshape(train.shape[1:])


def _most_frequent(values: np.ndarray) -> float:
    """The smallest of the most frequent values."""
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[np.argmax(counts)])


def prepare(raw: Raw, steps: tuple[spec.Step, ...], fitted_on: int, classes: dict[str, int]) -> None:
    """Applies all steps but `clean`, in order, to every part in place.

    fitted_on: the first so many training examples are the originals, which statistics are taken from (the
    rest are augmented copies).
    """
    for step in steps:
        if isinstance(step, spec.Clean):
            continue
        if step.canonical_name() in WHOLE:
            _replace(raw, step, fitted_on, classes)
            continue
        group = "y" if isinstance(step, spec.OneHot) and step.arrays is None else "x"
        for name in step_arrays(raw, step, group):
            holder = "x" if name in raw.train.x else "y"
            change = FITS[type(step)](step, getattr(raw.train, holder)[name][:fitted_on], name, classes)
            for arrays in raw.parts().values():
                values = getattr(arrays, holder)
                values[name] = _in_rows(values[name], change)


def step_arrays(raw: Raw, step: spec.Step, group: str) -> list[str]:
    """The names that the step is for. group: "x" or "y", which all of are meant where the step names none."""
    if step.arrays is None:
        return list(raw.train.x if group == "x" else raw.train.y)
    known = [*raw.train.x, *raw.train.y]
    for name in step.arrays:
        if name not in known:
            raise DataError(
                f"there is no array {name!r}.",
                where=f"data: prepare: {step.canonical_name()}",
                hint=did_you_mean(name, known),
            )
    return [
        name
        for name in step.arrays
        if group == "y" or not isinstance(step, spec.Clean) or name in raw.train.x
    ]


def _in_rows(array: np.ndarray, change: Change) -> np.ndarray:
    """`change` of the whole array, computed a few thousand examples at a time."""
    first = change(array[:_ROWS])
    result = np.empty((len(array), *first.shape[1:]), first.dtype)
    result[:_ROWS] = first
    for start in range(_ROWS, len(array), _ROWS):
        result[start : start + _ROWS] = change(array[start : start + _ROWS])
    return result


def _affine(array: np.ndarray, center: Any, scale: Any, offset: Any) -> Change:
    """(x - center) * scale + offset in float64, rounded once to the result's dtype."""
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    return lambda rows: ((rows.astype(np.float64) - center) * scale + offset).astype(dtype)


def _axes(each: str, array: np.ndarray) -> tuple[int, ...]:
    """The axes that share one mean."""
    if each == "auto":
        each = {2: "feature", 4: "channel"}.get(array.ndim, "all")
    if each == "feature":
        return (0,)
    return tuple(range(array.ndim - 1 if each == "channel" and array.ndim > 1 else array.ndim))


def standardise(step: spec.Standardise, train: np.ndarray, name: str, classes: dict[str, int]) -> Change:
    axes = _axes(step.each, train)
    mean = train.mean(axis=axes, dtype=np.float64, keepdims=True)
    deviation = train.std(axis=axes, dtype=np.float64, keepdims=True)
    # A constant's computed deviation is not exactly 0: what is below rounding counts as constant.
    constant = deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    return _affine(train, mean, 1 / np.where(constant, 1.0, deviation), 0.0)


def min_max(step: spec.MinMax, train: np.ndarray, name: str, classes: dict[str, int]) -> Change:
    axes = _axes(step.each, train)
    low = train.min(axis=axes, keepdims=True).astype(np.float64)
    span = train.max(axis=axes, keepdims=True).astype(np.float64) - low
    return _affine(train, low, (step.high - step.low) / np.where(span == 0, 1.0, span), step.low)


def rescale(step: spec.Rescale, train: np.ndarray, name: str, classes: dict[str, int]) -> Change:
    return _affine(train, 0.0, step.scale, step.offset)


def one_hot(step: spec.OneHot, train: np.ndarray, name: str, classes: dict[str, int]) -> Change:
    """[n, ...] integers to [n, ..., classes] float32."""
    count = step.classes or classes.get(name)
    where = f"data: prepare: one_hot: {name}"
    if train.dtype.kind not in "iu":
        raise DataError(
            f"expected labels (whole numbers), got {train.dtype}.", where=where, hint="Give `classes`."
        )
    if count is None:
        raise DataError(
            "the number of classes is not known.", where=where, hint="Write {one_hot: {classes: NUMBER}}."
        )
    rows: np.ndarray = np.eye(count, dtype=np.float32)

    def change(labels: np.ndarray) -> np.ndarray:
        if labels.size and (labels.min() < 0 or labels.max() >= count):
            wrong = labels[(labels < 0) | (labels >= count)][0]
            raise DataError(f"label {wrong} is outside 0..{count - 1}.", where=where, hint="Raise `classes`.")
        chosen: np.ndarray = rows[labels]
        return chosen

    return change


def flatten(step: spec.Flatten, train: np.ndarray, name: str, classes: dict[str, int]) -> Change:
    width = int(np.prod(train.shape[1:], dtype=np.int64))
    return lambda rows: rows.reshape(len(rows), width)


def channels(step: spec.Channels, train: np.ndarray, name: str, classes: dict[str, int]) -> Change:
    if train.ndim != 3:
        raise DataError(
            f"expected [n, height, width], got shape {('n', *train.shape[1:])}.",
            where=f"data: prepare: channels: {name}",
            hint="Leave the step out if there is a channel axis.",
        )
    return lambda rows: rows[..., None]


def cast(step: spec.Cast, train: np.ndarray, name: str, classes: dict[str, int]) -> Change:
    return lambda rows: rows.astype(step.dtype)


# Steps that take and leave whole sets of arrays: {name: file of this folder with a function of that name}.
WHOLE: dict[str, str] = {
    "text_vectorization": "text_preparation", "string_lookup": "text_preparation", "tokenize": "tokenizing",
    "to_ids": "text_preparation", "language_model": "sequences", "mask_tokens": "sequences",
    "sequence_pairs": "text_preparation", "windows": "windows", "reconstruct": "windows", "log_mel": "spectra",
}


def _replace(raw: Raw, step: spec.Step, fitted_on: int, classes: dict[str, int]) -> None:
    """Applies a step of WHOLE; what was known of targets that it left out is forgotten."""
    before, known = dict(raw.train.y), dict(raw.vocabularies)
    _whole(step)(raw, step, fitted_on)
    for name, array in before.items():
        if raw.train.y.get(name) is not array:
            classes.pop(name, None)
            if name in known and raw.vocabularies.get(name) is known[name]:
                del raw.vocabularies[name]
    for name, array in raw.train.y.items():
        if before.get(name) is not array and array.dtype.kind in "iu" and name in raw.vocabularies:
            classes[name] = len(raw.vocabularies[name])


def _whole(step: spec.Step) -> Callable[[Raw, Any, int], None]:
    name = step.canonical_name()
    function: Callable[[Raw, Any, int], None] = getattr(import_module(f"harness.data.{WHOLE[name]}"), name)
    return function


def reads_text(step: spec.Step) -> bool:
    """Whether the step makes numbers of text."""
    return WHOLE.get(step.canonical_name()) in ("text_preparation", "tokenizing")


def step_files(step: spec.Step, base: Path | None) -> list[Path]:
    """The files that the step reads."""
    if step.canonical_name() != "tokenize":
        return []
    from harness.data.tokenizing import tokenizer_file

    return [tokenizer_file(step.tokenizer, base)]  # type: ignore[attr-defined]


FITS: dict[type[spec.Step], Callable[..., Change]] = {
    spec.Standardise: standardise,
    spec.MinMax: min_max,
    spec.Rescale: rescale,
    spec.OneHot: one_hot,
    spec.Flatten: flatten,
    spec.Channels: channels,
    spec.Cast: cast,
}


def settle_dtypes(arrays: Arrays, kept: frozenset[str]) -> Arrays:
    """float32 for numbers and pixels (uint8), int32 or int64 for indices; `kept` names stay as they are."""
    x = {name: array if name in kept else _settled(array, name) for name, array in arrays.x.items()}
    y = {
        name: array if name in kept or array.dtype.kind == "i" else _settled(array, name)
        for name, array in arrays.y.items()
    }
    weight = arrays.sample_weight
    return Arrays(x, y, None if weight is None else np.ascontiguousarray(weight, dtype=np.float32))


def _settled(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind in "fb" or array.dtype == np.uint8:
        return np.ascontiguousarray(array, dtype=np.float32)
    if array.dtype.kind == "O" and len(array) and isinstance(array[0], np.ndarray):
        raise DataError(f"the examples of {name} have different lengths.", where="data",
                        hint="Leave out `pad: none`, or pack them: {language_model: {block: 128}}.")
    if array.dtype.kind not in "iu":
        raise DataError(f"{name} holds {'text' if array.dtype.kind in 'OU' else array.dtype}, not numbers.",
                        where="data", hint="Expected numbers.")
    small = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
    return np.ascontiguousarray(array, dtype=np.int32 if small else np.int64)
