"""CSV and Parquet files: named columns to features and target."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.files import find
from harness.errors import DataError, did_you_mean
from harness.spec import sources as spec

if TYPE_CHECKING:
    import pandas


def read(source: spec.Source, base: Path | None, sample_weight: str | None = None) -> Raw:
    """x [n, features] float64 (missing: NaN), y [n] or [n, targets]: numbers, or text as objects; text columns under
    their own names."""
    assert isinstance(source, spec.Table)
    frames = {part: _frame(source, path) for part, path in _paths(source, base).items()}
    columns = _columns(source, frames["train"], sample_weight)
    # The values of a text column are those of all files, so that every part has the same 0/1 columns.
    values = {
        name: sorted({str(v) for f in frames.values() for v in _column(f, name).dropna()})
        for name in source.categorical
    }
    parts: dict[str, Arrays] = {}
    names: tuple[str, ...] = ()
    for part, frame in frames.items():
        _require(frame, [*columns, *source.target, *([sample_weight] if sample_weight else [])], source)
        inputs = {name: _text(frame, name) for name in source.text}
        if columns:
            inputs["x"], names = _features(source, frame, columns, values)
        weight = _numbers(frame, sample_weight, source) if sample_weight else None
        parts[part] = Arrays(inputs, {"y": _target(source, frame)}, weight)
    return Raw(parts["train"], parts.get("validation"), parts.get("test"), features=names)


def identity(source: spec.Source, base: Path | None) -> dict[str, Any]:
    assert isinstance(source, spec.Table)
    return {"files": [file_hash(path) for path in _paths(source, base).values()]}


def _paths(source: spec.Table, base: Path | None) -> dict[str, Path]:
    given = {"train": source.path, "validation": source.validation, "test": source.test}
    return {part: find(path, base, source.canonical_name()) for part, path in given.items() if path}


def _frame(source: spec.Table, path: Path) -> pandas.DataFrame:
    import pandas

    kind = source.canonical_name()
    try:
        frame = _read_csv(source, path) if isinstance(source, spec.Csv) else _read_parquet(path)
    # Most of what pandas and Arrow raise are ValueErrors.
    except (ValueError, OSError, pandas.errors.ParserWarning) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"cannot read {path}: {reason.rstrip('.')}.", where=kind, hint=f"Expected a {kind} file."
        ) from None
    if frame.empty:
        raise DataError(f"{path} has no rows.", where=kind, hint="Expected a header and at least one row.")
    return frame


def _read_csv(source: spec.Csv, path: Path) -> pandas.DataFrame:
    import pandas

    with warnings.catch_warnings():
        # Rows longer than the header: a warning with index_col=False, shifted columns without.
        warnings.simplefilter("error", pandas.errors.ParserWarning)
        # pandas would rename the second of two columns of one name.
        header = pandas.read_csv(path, sep=source.separator, header=None, nrows=1, dtype=str, skipinitialspace=True)
        for name in header.iloc[0][header.iloc[0].duplicated()]:
            raise ValueError(f"the column {name!r} stands twice in the header")
        return pandas.read_csv(
            path,
            sep=source.separator,
            index_col=False,
            skipinitialspace=True,
            dtype_backend="numpy_nullable",  # whole numbers stay whole where values are missing
        )


def _read_parquet(path: Path) -> pandas.DataFrame:
    import pandas

    return pandas.read_parquet(path, dtype_backend="numpy_nullable")


def _columns(source: spec.Table, frame: pandas.DataFrame, weight: str | None) -> list[str]:
    apart = {*source.target, *source.text, *([weight] if weight else [])}
    if source.features is None:
        columns = [str(name) for name in frame.columns if str(name) not in apart]
    else:
        columns = list(dict.fromkeys([*source.features, *source.categorical]))
    leaked = [name for name in (*columns, *source.text) if name in source.target]
    if leaked:
        raise DataError(
            f"the target {leaked[0]!r} is also a feature.",
            where=source.name,
            hint="Leave it out of `features`.",
        )
    if not columns and not source.text:
        raise DataError(
            "there is no column to learn from.", where=source.name, hint="Name some in `features`."
        )
    return columns


def _require(frame: pandas.DataFrame, names: list[str], source: spec.Table) -> None:
    known = [str(name) for name in frame.columns]
    for name in [*names, *source.categorical, *source.text]:
        if name not in known:
            raise DataError(
                f"there is no column {name!r}.", where=source.name, hint=did_you_mean(name, known)
            )


def _column(frame: pandas.DataFrame, name: str) -> pandas.Series[Any]:
    """A column by its name as text; an empty one where it is missing (`_require` says so)."""
    for column in frame.columns:
        if str(column) == name:
            return frame[column]
    return frame.iloc[:, 0].iloc[:0]


def _numbers(frame: pandas.DataFrame, name: str, source: spec.Table) -> np.ndarray:
    """One column as float64, missing values NaN. Raises DataError with the first value that is no number."""
    import pandas

    column = _column(frame, name)
    if column.dtype.kind in "mM":
        column = column.astype(str)  # dates are no numbers
    numbers = pandas.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    text = np.flatnonzero(np.isnan(numbers) & column.notna().to_numpy())
    if len(text):
        raise DataError(
            f"the column {name!r} holds {column.iloc[int(text[0])]!r} in row {int(text[0]) + 1}, "
            "which is no number.",
            where=source.name,
            hint=f"Leave it out with `features`, or list it in `categorical: [{name}]`.",
        )
    return numbers


def _text(frame: pandas.DataFrame, name: str) -> np.ndarray:
    """One column as objects [n]: texts, None where there is nothing."""
    column = _column(frame, name)
    values = np.array([str(value) for value in column], dtype=object)
    values[column.isna().to_numpy()] = None
    return values


def _features(
    source: spec.Table, frame: pandas.DataFrame, columns: list[str], values: dict[str, list[str]]
) -> tuple[np.ndarray, tuple[str, ...]]:
    arrays: list[np.ndarray] = []
    names: list[str] = []
    for name in columns:
        if name not in values:
            arrays.append(_numbers(frame, name, source))
            names.append(name)
            continue
        column = _column(frame, name)
        for value in values[name]:
            # A missing value is missing in all its 0/1 columns, so that `clean` sees it.
            arrays.append(np.where(column.isna(), np.nan, (column.astype(str) == value).astype(np.float64)))
            names.append(f"{name}={value}")
    return np.stack(arrays, axis=1), tuple(names)


def _target(source: spec.Table, frame: pandas.DataFrame) -> np.ndarray:
    if len(source.target) > 1:
        return np.stack([_numbers(frame, name, source) for name in source.target], axis=1)
    column = _column(frame, source.target[0])
    missing = column.isna().to_numpy()
    if column.dtype.kind == "f":
        return column.to_numpy(np.float64, na_value=np.nan)
    if column.dtype.kind in "iub" and not missing.any():
        return column.to_numpy(np.bool_ if column.dtype.kind == "b" else np.int64)
    # Text, or whole numbers with gaps: objects, None where there is nothing.
    whole = column.dtype.kind in "iub"
    values = np.array(column if whole else column.astype(str), dtype=object)
    values[missing] = None
    return values
