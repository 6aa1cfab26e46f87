"""Series in the order of time: statsmodels' own, and CSV files."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.dataset import Arrays, Raw
from harness.data.fingerprint import file_hash
from harness.data.sources.files import find
from harness.errors import DataError, did_you_mean
from harness.spec import signal_sources as spec
from harness.spec import sources


def read(source: sources.Source, base: Path | None) -> Raw:
    """x float64 [rows, columns]; there is no target yet."""
    if isinstance(source, spec.Series):
        return _read_csv(source, find(source.series, base, "series"))
    from statsmodels.datasets import co2, sunspots

    if isinstance(source, spec.Sunspots):
        values, column = sunspots.load_pandas().data["SUNACTIVITY"], "sunspots"
    else:
        values, column = co2.load_pandas().data["co2"].interpolate("linear"), "co2"
    return Raw(Arrays({"x": values.to_numpy(np.float64)[:, None]}, {}), features=(column,), ordered=True)


def identity(source: sources.Source, base: Path | None) -> dict[str, Any]:
    if isinstance(source, spec.Series):
        return {"files": [file_hash(find(source.series, base, "series"))]}
    return {"statsmodels": version("statsmodels")}


def _read_csv(source: spec.Series, path: Path) -> Raw:
    import pandas

    try:
        frame = pandas.read_csv(path, sep=source.separator, skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise DataError(f"cannot read {path}: {error}.", where="series", hint="Expected a CSV file.") from None
    known = [str(name) for name in frame.columns]
    for name in (*source.columns, *([source.time] if source.time else [])):
        if name not in known:
            raise DataError(f"there is no column {name!r} in {path}.", where="series", hint=did_you_mean(name, known))
    if source.time:
        _check_time(frame[source.time], path)
    columns = source.columns or tuple(
        name for name in known if name != source.time and frame[name].dtype.kind in "iufb")
    wrong = next((name for name in columns if frame[name].dtype.kind not in "iufb"), None)
    if wrong is not None or not columns or frame.empty:
        raise DataError(f"the column {wrong!r} of {path} is no number throughout." if wrong is not None
                        else f"{path} has no column of numbers.", where="series", hint="Name others in `columns`.")
    x = frame[list(columns)].to_numpy(np.float64)
    return Raw(Arrays({"x": x}, {}), features=tuple(columns), ordered=True)


def _check_time(column: Any, path: Path) -> None:
    """Raises DataError unless the numbers or dates of the column rise from row to row."""
    import pandas

    try:
        times = column if column.dtype.kind in "iuf" else pandas.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise DataError(f"the column {column.name!r} of {path} is no time: {error}.", where="series",
                        hint="Expected numbers, or dates such as 2024-01-31.") from None
    falling = np.flatnonzero(~(times.diff().iloc[1:] > times.iloc[0] - times.iloc[0]).to_numpy())
    if len(falling):
        row = int(falling[0]) + 2
        raise DataError(f"the time does not rise in row {row} of {path}: {column.iloc[row - 2]} is followed by "
                        f"{column.iloc[row - 1]}.", where="series", hint="Sort the rows; each time may stand once.")
